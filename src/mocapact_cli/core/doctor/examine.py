"""All looks at the machine, side by side, and what they came to."""

from __future__ import annotations

import dataclasses
import importlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.doctor.check import Check, Look
from mocapact_cli.core.doctor.findings import (
    GPU,
    GRAPHICS,
    NETWORK,
    PACKAGES,
    PROCESSORS,
    SHELL,
    STORAGE,
    Finding,
    Level,
)
from mocapact_cli.core.doctor.trials import LIMIT_S as TRIAL_LIMIT_S
from mocapact_cli.core.doctor.trials import Trials
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.remote.secrets import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mocapact_cli.core.progress import Progress


def all_checks() -> list[Check]:
    """Return every check, in the order in which findings are shown."""
    trial = Trials()
    return [
        Check(PACKAGES, "versions", _later("packages", "look_at_versions")),
        Check(PACKAGES, "trial", trial.look_at_packages, TRIAL_LIMIT_S + 5),
        Check(PACKAGES, "extras", _later("packages", "look_at_extras")),
        Check(GPU, "CUDA", trial.look_at_gpu, TRIAL_LIMIT_S + 5),
        Check(PROCESSORS, "cores", _later("processors", "look_at_processors")),
        Check(PROCESSORS, "memory", _later("processors", "look_at_memory")),
        Check(GRAPHICS, "OpenGL", _later("graphics", "look_at_opengl")),
        Check(GRAPHICS, "ffmpeg", _later("graphics", "look_at_ffmpeg")),
        Check(STORAGE, "home", _later("storage", "look_at_home")),
        Check(STORAGE, "contents", _later("contents", "look_at_contents")),
        *_network_checks(),
        Check(SHELL, "completion", _later("shell", "look_at_completion")),
    ]


def _later(module: str, function: str) -> Callable[[], Iterable[Finding]]:
    """Import a look when it is made: what it stands on may be missing, and the others are to be made all the same."""

    def look() -> Iterable[Finding]:
        found: Iterable[Finding] = getattr(importlib.import_module(f"{__package__}.{module}"), function)()
        return found

    return look


def _network_checks() -> list[Check]:
    try:
        from mocapact_cli.core.doctor import network
    except ImportError:
        # It fails once more where that becomes a finding.
        return [Check(NETWORK, "sources", _later("network", "look_at_settings"))]
    return network.all_checks()


@dataclass(frozen=True)
class Report:
    """What the looks came to.

    Attributes:
        findings: All of them, by subject.
        seconds: How long it took.
    """

    findings: tuple[Finding, ...]
    seconds: float

    @property
    def problems(self) -> int:
        """How many findings have to be mended."""
        return self.counts()[Level.PROBLEM]

    def counts(self) -> dict[str, int]:
        """Return how many findings there are of each level."""
        return {str(level): sum(one.level is level for one in self.findings) for level in Level}

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "problems": self.problems,
            "counts": self.counts(),
            "seconds": round(self.seconds, 2),
            "findings": [finding.to_json() for finding in self.findings],
        }


def examine(checks: Sequence[Check] | None = None, *, progress: Progress | None = None) -> Report:
    """Run checks side by side and return what they found; it never raises.

    Args:
        checks: Which; None for all.
        progress: Told about each that is done.
    """
    started = time.monotonic()
    chosen = all_checks() if checks is None else checks
    looks = [Look(check) for check in chosen]
    findings: list[Finding] = []
    with (progress or NullProgress()).task("Looking", len(chosen), "checks") as task:
        for look in looks:
            findings += map(_redacted, look.findings(time.monotonic() - started))
            task.advance()
    return Report(tuple(findings), time.monotonic() - started)


def _redacted(finding: Finding) -> Finding:
    """Hide signatures and tokens: what a library says may hold an address with one."""
    hidden = {name: _hidden(getattr(finding, name)) for name in ("text", "remedy", "details")}
    return dataclasses.replace(finding, **hidden)


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return redact(value) if isinstance(value, str) else value
