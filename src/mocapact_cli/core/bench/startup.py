"""What a call of the command line costs before it does anything."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import RunError
from mocapact_cli.core.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.progress import Progress

REPEATS = 5


@dataclass(frozen=True)
class StartupCost:
    """The cost of one command line.

    Attributes:
        command: The arguments after `mocapact`, joined by spaces.
        cpu_s: User and system CPU seconds of the process, the minimum over the repeats.
    """

    command: str
    cpu_s: float


def measure_startup(
    commands: Sequence[Sequence[str]],
    *,
    repeats: int = REPEATS,
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> list[StartupCost]:
    """Run each command `repeats` times in fresh processes and return its least CPU time.

    The commands take turns, so that a busy moment of the machine does not fall on one of them alone. One unmeasured
    round comes first: it writes Python's byte code and warms the disk's cache.

    Args:
        commands: Arguments after `mocapact`, one sequence a command; each must exit with 0.
        repeats: Measured rounds.
        progress: Told about every run.

    Raises:
        RunError: A command failed.
    """
    least = [float("inf")] * len(commands)
    with progress.task("Starting", (repeats + 1) * len(commands), "starts") as task:
        for round_ in range(repeats + 1):
            for index, command in enumerate(commands):
                seconds = cpu_seconds(command)
                least[index] = min(least[index], seconds) if round_ else least[index]
                task.advance()
    return [StartupCost(" ".join(command), seconds) for command, seconds in zip(commands, least, strict=True)]


def cpu_seconds(command: Sequence[str]) -> float:
    """Return the user and system CPU seconds of one call of `mocapact` with these arguments.

    Raises:
        RunError: It did not exit with 0.
    """
    arguments = [sys.executable, "-m", "mocapact_cli", *command]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RunError(f"`mocapact {' '.join(command)}` failed with exit code {process.returncode}.")
    return usage.ru_utime + usage.ru_stime
