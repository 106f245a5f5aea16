"""All looks at the machine, side by side, each with a time limit; whatever goes wrong in one becomes a finding."""

from __future__ import annotations

import dataclasses
import importlib
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    Subject,
)
from mocapact_cli.core.doctor.trials import LIMIT_S as TRIAL_LIMIT_S
from mocapact_cli.core.doctor.trials import Trials
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.remote.secrets import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mocapact_cli.core.progress import Progress

_LIMIT_S = 20.0


@dataclass(frozen=True)
class Check:
    """One look at something.

    Attributes:
        subject: Where its findings belong.
        name: What it looks at.
        look: Returns what it found.
        limit_s: Seconds after which nobody waits for it any longer.
    """

    subject: Subject
    name: str
    look: Callable[[], Iterable[Finding]]
    limit_s: float = _LIMIT_S


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
        Check(STORAGE, "contents", _later("storage", "look_at_contents")),
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
    return [Check(NETWORK, asked.name, asked.look, network.LIMIT_S) for asked in network.all_asked()]


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
    answers = [_begin(check) for check in chosen]
    findings: list[Finding] = []
    with (progress or NullProgress()).task("Looking", len(chosen), "checks") as task:
        for check, answer in zip(chosen, answers, strict=True):
            left = check.limit_s - (time.monotonic() - started)
            findings += map(_redacted, _awaited(check, answer, max(0.0, left)))
            task.advance()
    return Report(tuple(findings), time.monotonic() - started)


def _begin(check: Check) -> queue.SimpleQueue[list[Finding]]:
    answers: queue.SimpleQueue[list[Finding]] = queue.SimpleQueue()

    def work() -> None:
        found: list[Finding] = []
        try:
            found.extend(check.look())
        except BaseException as error:  # noqa: BLE001 - a look that fails is a finding, too
            found.append(_failed(check, error))
        answers.put(found)

    # The program's end does not wait for one that hangs.
    threading.Thread(target=work, name=f"doctor {check.name}", daemon=True).start()
    return answers


def _awaited(check: Check, answers: queue.SimpleQueue[list[Finding]], seconds: float) -> list[Finding]:
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        text = f"gave no answer within {check.limit_s:g} s"
        return [check.subject.warning(check.name, text, "Run `mocapact doctor` again; the machine may be busy.")]


def _failed(check: Check, error: BaseException) -> Finding:
    first_line = str(error).strip().partition("\n")[0]
    text = f"could not be looked at: {type(error).__name__}: {first_line}".rstrip(": ")
    return check.subject.warning(check.name, text, "This is a defect of `mocapact doctor`: please report it.")


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
