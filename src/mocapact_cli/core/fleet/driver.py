"""Doing all jobs of a plan: begin what can be begun, try again what has failed, go on where another driver stopped."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from mocapact_cli.core import json_files
from mocapact_cli.core.errors import InterruptedRunError, RunError, UsageError
from mocapact_cli.core.fleet.far import is_address
from mocapact_cli.core.fleet.plan import plan_folder, read_plan
from mocapact_cli.core.fleet.records import Records
from mocapact_cli.core.fleet.status import (
    DONE,
    FAILED,
    RUNNING,
    SESSION,
    WAITING,
    Board,
    FleetStatus,
    read_session,
    startable,
)
from mocapact_cli.core.formatting import counted, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from mocapact_cli.core.fleet.engine import Ended, Engine
    from mocapact_cli.core.fleet.plan import Plan

TICK = 1.0
"""Seconds between looks at the records."""
Watcher = Callable[[FleetStatus], None]


@dataclass(frozen=True)
class Share:
    """A part of the jobs with which a worker begins, before it helps with the others.

    Attributes:
        index: Which part, from 1.
        count: How many there are.
    """

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise UsageError(f"There is no part {self.index} of {self.count}.", hint="Give 1/4, 2/4, 3/4 or 4/4.")

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read `2/4`.

        Raises:
            UsageError: The text is not of that form.
        """
        index, _, count = text.partition("/")
        if not (index.isdecimal() and count.isdecimal() and len(text) < 20):
            raise UsageError(f"{text!r} is not a part.", hint="Write I/N, such as 1/4.")
        return cls(int(index), int(count))

    def of(self, plan: Plan) -> set[str]:
        """Ids of the jobs in this part."""
        return {job.id for job in plan.jobs[self.index - 1 :: self.count]}


def drive(folder: Path, engine: Engine, *, retry_failed: bool = False, watch: Watcher | None = None) -> FleetStatus:
    """Do all jobs of a plan that are not done, and return where they stand in the end.

    Args:
        folder: The plan's.
        engine: Runs the jobs.
        retry_failed: Try those again that have failed too often.
        watch: Told every second or so how far it is.

    Raises:
        UsageError: Another driver is at it.
        InterruptedRunError: After Ctrl-C or SIGTERM; all is saved.
        RunError: The disk is full, or no job can be run.
    """
    folder = plan_folder(folder)
    with _sole_driver(folder), _session(folder):
        driving = _Driving(folder, engine, watch or _nobody, retry_failed=retry_failed)
        return driving.run()


def help_out(folder: Path, engine: Engine, share: Share, *, watch: Watcher | None = None) -> FleetStatus:
    """Do jobs of a plan beside other workers on it, until none is left to begin.

    The arguments and errors are those of `drive`, but for the other drivers, of which there may be any number.
    A worker begins with its share.
    """
    folder = plan_folder(folder)
    return _Driving(folder, engine, watch or _nobody, share=share, alone=False).run()


@dataclass
class _Driving:
    """One run of a driver."""

    folder: Path
    engine: Engine
    watch: Watcher
    retry_failed: bool = False
    share: Share = field(default_factory=Share)
    alone: bool = True

    def __post_init__(self) -> None:
        self.plan = read_plan(self.folder)
        self.board = Board(self.folder, self.plan, Records(self.folder))
        self.first = self.share.of(self.plan)

    def run(self) -> FleetStatus:
        """Go on until nothing is left to do."""
        if not is_address(self.plan.output):
            Path(self.plan.output).mkdir(parents=True, exist_ok=True)
        self._forgive()
        with self.engine, _sigterm_as_interrupt():
            try:
                return self._loop()
            except KeyboardInterrupt:
                self.engine.stop()
                raise InterruptedRunError(*self._stopped()) from None

    def _loop(self) -> FleetStatus:
        while True:
            status = self.board.status()
            self.watch(status)
            for job in startable(status, self.engine.running(), self.first)[: max(self.engine.room(), 0)]:
                self.engine.start(job.job, job.attempts)
            if not self.engine.running() and self._is_over(status):
                return status
            for end in self.engine.ended(TICK):
                self._note(end)

    def _is_over(self, status: FleetStatus) -> bool:
        """Whether nothing is left; one of many workers does not wait for what the others do."""
        return not status.of(WAITING) and not (self.alone and status.of(RUNNING))

    def _note(self, end: Ended) -> None:
        if end.problem is not None:
            raise end.problem
        error = end.attempt.error if end.attempt else {}
        if error.get("disk_full"):
            raise RunError(
                f"The disk is full: {error['message']}",
                hint=f"What is finished is intact. Free some space, then: mocapact fleet run {quoted(self.folder)}",
            )

    def _forgive(self) -> None:
        """Let failures of earlier drivers not count."""
        if self.retry_failed:
            self.board.forgiven = {job.job: job.attempts for job in self.board.status().of(FAILED)}

    def _stopped(self) -> tuple[str]:
        done, total = len(self.board.status().of(DONE)), len(self.plan.jobs)
        return (
            f"Stopped with {done:,} of {counted(total, 'job')} done; those that were running have saved themselves.",
        )


@contextlib.contextmanager
def _sole_driver(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / "driver.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        other = read_session(folder)
        raise UsageError(
            f"{folder} is being driven by process {other.get('pid')} on {other.get('host')}.",
            hint=f"Watch it with `mocapact fleet status {quoted(folder)}`, or stop that one first.",
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _session(folder: Path) -> Iterator[None]:
    """Write down who drives, since when, and when it was over."""
    session: dict[str, Any] = {"host": platform.node(), "pid": os.getpid(), "started": time.time(), "ended": None}
    json_files.write_json(folder / SESSION, session)
    try:
        yield
    finally:
        # On a full disk there is something more important to say.
        with contextlib.suppress(OSError):
            json_files.write_json(folder / SESSION, session | {"ended": time.time()})


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let whoever takes the machine away be answered as Ctrl-C is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of handlers
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _nobody(status: FleetStatus) -> None:
    """Watch nothing."""
