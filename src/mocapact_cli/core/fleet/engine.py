"""What the driver asks of an engine that runs jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Self

    from mocapact_cli.core.fleet.records import Attempt


@dataclass(frozen=True)
class Ended:
    """A job that an engine no longer runs.

    Attributes:
        job_id: The job.
        attempt: The record of the attempt; None where there is none.
        problem: Why there is none; None where others do the job, or its worker is gone.
    """

    job_id: str
    attempt: Attempt | None = None
    problem: Exception | None = None


class Engine(Protocol):
    """Runs jobs, each in a process of its own, somewhere."""

    def room(self) -> int:
        """How many more jobs it would take now."""

    def start(self, job_id: str, seen: int) -> None:
        """Begin a job, whose last attempt had the number `seen`; 0 for none."""

    def running(self) -> set[str]:
        """Jobs that were begun and have not been told as ended."""

    def ended(self, timeout: float) -> list[Ended]:
        """Wait for ends of jobs, at most so many seconds, and return those there are."""

    def stop(self) -> None:
        """Let running jobs save themselves and end; returns when they have."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
