"""What the process of a job runs: `python -m mocapact_cli.core.fleet.job PLAN JOB CORES`.

It speaks in lines of JSON on stdout (`progress`, then `result` or `error`) and keeps stdin open: when that ends,
whoever started it is gone or wants it to stop, and it saves itself.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core import json_files
from mocapact_cli.core.errors import (
    AccessError,
    InterruptedRunError,
    InvalidInputError,
    MissingDependencyError,
    MocapactError,
    NotFoundError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mocapact_cli.core.progress import ProgressTask

SAVING = 45.0
"""Seconds in which a job must have saved itself."""
EVERY = 2.0
"""Seconds between lines of progress."""
_IN_VAIN = (UsageError, NotFoundError, InvalidInputError, AccessError, MissingDependencyError)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class SpokenProgress:
    """Tells the watcher how far a job is, and writes messages into its log.

    Args:
        say: Sends one document to the watcher.
    """

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self._say = say

    @contextlib.contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "it") -> Iterator[ProgressTask]:
        """Open a task whose count is told every few seconds."""
        self.message(description)
        yield _SpokenTask(self._say, total, unit)

    def message(self, text: str) -> None:
        """Write a line into the log."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class _SpokenTask:
    def __init__(self, say: Callable[[dict[str, Any]], None], total: float | None, unit: str) -> None:
        self._say = say
        self._state: dict[str, Any] = {"done": 0.0, "total": total, "unit": unit}
        self._next = 0.0

    def advance(self, n: float = 1) -> None:
        self.update(completed=self._state["done"] + n)

    def update(
        self,
        completed: float | None = None,
        total: float | None = None,
        description: str | None = None,  # noqa: ARG002 - the signature is the protocol's
        **fields: str,
    ) -> None:
        given = {"done": completed, "total": total, **fields}
        self._state |= {name: value for name, value in given.items() if value is not None}
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            self._say({"progress": dict(self._state)})


def main(folder: str, job_id: str, cores: str) -> int:
    """Do a job and return the exit code."""
    if cores != "any":
        # Before anything counts the cores.
        os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    say = _speaker()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_the_watcher, daemon=True).start()
    try:
        say({"result": _work(Path(folder), job_id, SpokenProgress(say))})
    except (KeyboardInterrupt, InterruptedRunError):
        return 130
    except Exception as error:  # noqa: BLE001 - the boundary
        traceback.print_exc()
        say({"error": description_of(error)})
        return 1
    return 0


def _work(folder: Path, job_id: str, progress: SpokenProgress) -> dict[str, Any]:
    from mocapact_cli.core.fleet.plan import read_plan
    from mocapact_cli.core.fleet.work import do_job
    from mocapact_cli.core.media.gl import defer_gl

    defer_gl()
    plan = read_plan(folder)
    return do_job(plan, plan.job(job_id), progress)


def description_of(error: BaseException) -> dict[str, Any]:
    """What a record says of an error: type, message, hint, whether to try again, and whether the disk is full."""
    full = any(isinstance(cause, OSError) and cause.errno in _FULL for cause in _causes(error))
    said = (error.message, error.hint) if isinstance(error, MocapactError) else (f"{type(error).__name__}: {error}", "")
    return {
        "type": type(error).__name__,
        "message": said[0],
        "hint": said[1],
        "retry": not isinstance(error, _IN_VAIN),
        "disk_full": full,
    }


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _speaker() -> Callable[[dict[str, Any]], None]:
    """Keep stdout for the watcher; what libraries print goes into the log."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(document: dict[str, Any]) -> None:
        # Without a watcher there is nobody to tell; the job is about to stop.
        with contextlib.suppress(OSError):
            channel.write(json.dumps(document, default=json_files.jsonable) + "\n")
            channel.flush()

    return say


def _end_with_the_watcher() -> None:
    while os.read(0, 1024):
        pass
    # A signal, because it also wakes a thread that waits for others.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    time.sleep(SAVING)
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
