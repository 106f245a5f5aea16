"""What was tried: one small file an attempt, which is also the claim that keeps others from doing the same job.

The files lie side by side in `records` below the plan's folder, as `<job>.<number>.json`. Only who runs an attempt
writes its file; the next attempt can begin when the last one has ended, or when nothing was heard of it for a while.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import time
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from mocapact_cli.core import atomic, json_files
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.fleet import machine

RECORDS, LOGS = "records", "logs"
LEASE = 60.0
"""Seconds without a sign of life after which an attempt on another machine is taken for dead."""
BEAT = 10.0
"""Seconds between signs of life."""

State = Literal["running", "finished", "failed", "stopped", "lost"]
_NAME = re.compile(r"(?P<job>.+)\.(?P<number>\d{1,6})\.json")


class TakenError(RunError):
    """Somebody else has the job."""


@dataclass(frozen=True)
class Attempt:
    """One try at a job.

    Attributes:
        job: Its id.
        number: Of the attempt, from 1.
        state: Running, finished, failed (by an error or a crash), stopped (asked to, all saved), or lost (with whoever
            ran it).
        host: Name of the machine.
        machine: Its identity.
        pid, stamp: The process that watches over the job, and when that began, as the system says.
        child, child_stamp: The same of the process that does the job.
        started, ended: Unix time in seconds.
        progress: The last that was heard: done, total, unit and short texts.
        result: What came of it.
        error: Type, message and hint of what went wrong, and whether to try again.
        log: The file with all that it said.
    """

    job: str
    number: int
    state: State = "running"
    host: str = ""
    machine: str = ""
    pid: int = 0
    stamp: str = ""
    child: int = 0
    child_stamp: str = ""
    started: float = 0.0
    ended: float | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    log: str = ""
    heard: float = field(default=0.0, compare=False)
    """When the file was last written, by the clock of the disk."""

    @property
    def counts(self) -> bool:
        """Whether it is one of the failures that a job is allowed."""
        return self.state == "failed"

    @property
    def hopeless(self) -> bool:
        """Whether another try would fail just so."""
        return self.state == "failed" and not self.error.get("retry", True)


class Records:
    """The attempts of a plan.

    Args:
        folder: The plan's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._where = folder / RECORDS
        self._ended: dict[str, Attempt] = {}
        self._now: float | None = None

    def read(self) -> dict[str, list[Attempt]]:
        """All attempts by job, each job's in their order; what has ended is read from the disk once."""
        self._now = None
        found: dict[str, list[Attempt]] = {}
        for attempt in self._scan():
            found.setdefault(attempt.job, []).append(attempt)
        for attempts in found.values():
            attempts.sort(key=lambda attempt: attempt.number)
        return found

    def of(self, job: str) -> list[Attempt]:
        """The attempts at one job, in their order."""
        return self.read().get(job, [])

    def claim(self, job: str, seen: int) -> Attempt:
        """Begin the next attempt at a job, for this process and nobody else.

        Args:
            job: Its id.
            seen: Number of the last attempt when it was decided that another one is needed; 0 for none.

        Raises:
            TakenError: An attempt is running, or another worker was faster.
        """
        before = self.of(job)
        if before and (before[-1].number > seen or self.is_alive(before[-1])):
            raise TakenError(f"{job} is being done by another worker.")
        attempt = self._new(job, seen + 1)
        self._where.mkdir(parents=True, exist_ok=True)
        try:
            # Creating a name that nobody has is the one thing that file systems do for one of many at once.
            self._path(attempt).touch(exist_ok=False)
        except FileExistsError:
            raise TakenError(f"{job} was taken by another worker.") from None
        self.save(attempt)
        if before and before[-1].state == "running":
            self.save(replace(before[-1], state="lost", ended=before[-1].heard, error={"message": "It was killed."}))
        return attempt

    def _new(self, job: str, number: int) -> Attempt:
        pid = os.getpid()
        return Attempt(
            job,
            number,
            host=platform.node(),
            machine=machine.machine_id(),
            pid=pid,
            stamp=machine.process_stamp(pid) or "",
            started=time.time(),
            log=str(self.log_of(job, number)),
        )

    def log_of(self, job: str, number: int) -> Path:
        """Where all goes that an attempt says."""
        return self.folder / LOGS / f"{_quoted(job)}.{number}.log"

    def save(self, attempt: Attempt) -> None:
        """Write an attempt's file for good."""
        atomic.write_text(self._path(attempt), _text(attempt))

    def beat(self, attempt: Attempt) -> None:
        """Write a sign of life; one that a crash of the machine takes away is no loss."""
        path = self._path(attempt)
        temporary = path.with_name(f".{path.name}.beat")
        with contextlib.suppress(OSError):
            temporary.write_text(_text(attempt), encoding="utf-8")
            temporary.replace(path)

    def is_alive(self, attempt: Attempt) -> bool:
        """Whether an attempt still runs: by its process on this machine, by what was last heard of it elsewhere."""
        if attempt.state != "running":
            return False
        if attempt.machine == machine.machine_id():
            # While either is there: the watcher writes down how the job has ended, the job may be saving itself.
            processes = ((attempt.pid, attempt.stamp), (attempt.child, attempt.child_stamp))
            return any(pid and machine.lives(pid, stamp) for pid, stamp in processes)
        return self.now() - attempt.heard < LEASE

    def is_superseded(self, attempt: Attempt) -> bool:
        """Whether others took an attempt for dead and began another."""
        return self._path(replace(attempt, number=attempt.number + 1)).exists()

    def now(self) -> float:
        """The time by the clock of the disk, which all machines share, as of the last reading."""
        if self._now is None:
            self._now = self._disk_time()
        return self._now

    def _disk_time(self) -> float:
        probe = self._where / f".clock.{platform.node()}.{os.getpid()}"
        try:
            probe.touch()
            os.utime(probe)
            return probe.stat().st_mtime
        except OSError:
            return time.time()
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()

    def _path(self, attempt: Attempt) -> Path:
        return self._where / f"{_quoted(attempt.job)}.{attempt.number}.json"

    def _scan(self) -> list[Attempt]:
        try:
            entries = list(os.scandir(self._where))
        except FileNotFoundError:
            return []
        found = []
        for entry in entries:
            match = None if entry.name.startswith(".") else _NAME.fullmatch(entry.name)
            if match is not None:
                found.append(self._read(entry, _unquoted(match["job"]), int(match["number"])))
        return found

    def _read(self, entry: os.DirEntry[str], job: str, number: int) -> Attempt:
        known = self._ended.get(entry.name)
        if known is None:
            path = Path(entry.path)
            known = _parsed(path, Attempt(job, number, heard=_modified(path)))
            if known.state != "running":
                self._ended[entry.name] = known
        return known


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _parsed(path: Path, plain: Attempt) -> Attempt:
    """Read an attempt's file; one that was only just created, or that a crash has emptied, says that it runs."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        known = {item.name for item in fields(Attempt)} - {"job", "number", "heard"}
        return replace(plain, **{name: value for name, value in record.items() if name in known})
    except (OSError, ValueError, AttributeError):
        return plain


def _text(attempt: Attempt) -> str:
    record = {name: value for name, value in asdict(attempt).items() if name != "heard"}
    return json.dumps(record, indent=1, default=json_files.jsonable) + "\n"


def _quoted(job: str) -> str:
    return job.replace("/", "~")


def _unquoted(name: str) -> str:
    return name.replace("~", "/")
