"""Watching over one job: its claim, its process, its log, its signs of life and its end."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mocapact_cli.core.fleet import machine
from mocapact_cli.core.fleet.plan import Plan, read_plan
from mocapact_cli.core.fleet.records import BEAT, Attempt, Records, State, TakenError

if TYPE_CHECKING:
    from collections.abc import Mapping

GRACE = 60.0
"""Seconds in which a job that is asked to stop may save itself."""
_TICK = 0.5
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_TAIL = 2000


def supervise(
    folder: Path, job_id: str, seen: int, *, stop: threading.Event, environment: Mapping[str, str] | None = None
) -> Attempt:
    """Do one job of a plan in a process of its own, and return the record of how it went.

    The process ends with this one: it saves itself when it no longer hears from here.

    Args:
        folder: The plan's.
        job_id: The job.
        seen: Number of the last attempt at it; 0 for none.
        stop: Set to ask the job to save itself and end.
        environment: Variables for the process besides this one's.

    Raises:
        TakenError: Others do the job.
        OSError: The record could not be written.
    """
    plan, records = read_plan(folder), Records(folder)
    attempt = records.claim(job_id, seen)
    with machine.own_cores(plan.threads_per_job) as cores:
        return _Watch(plan, records, attempt, stop).run(cores, environment or {})


class _Watch:
    """One attempt while it runs."""

    def __init__(self, plan: Plan, records: Records, attempt: Attempt, stop: threading.Event) -> None:
        self._plan, self._records, self._attempt, self._stop = plan, records, attempt, stop
        self._said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._outcome: dict[str, Any] = {}
        self._asked_at: float | None = None
        self._beat_at = time.monotonic() + BEAT

    def run(self, cores: list[int], environment: Mapping[str, str]) -> Attempt:
        """Start the process and stay with it to its end."""
        log = Path(self._attempt.log)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            process = self._start(cores, environment, file)
            try:
                self._stay(process)
            except BaseException:
                # Not heard of any more it would save itself, but nobody would write down what became of it.
                _kill(process)
                raise
        return self._end(process.wait())

    def _start(self, cores: list[int], environment: Mapping[str, str], log: Any) -> subprocess.Popen[bytes]:
        threads = str(self._plan.threads_per_job)
        command = [sys.executable, "-P", "-m", "mocapact_cli.core.fleet.job"]
        command += [str(self._records.folder), self._attempt.job, ",".join(map(str, cores)) or "any"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **dict.fromkeys(_THREADS, threads), "OMP_WAIT_POLICY": "PASSIVE", **environment},
            # Ctrl-C is for the one who started the fleet, who then asks the jobs to stop.
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        stamp = machine.process_stamp(process.pid) or ""
        self._attempt = replace(self._attempt, child=process.pid, child_stamp=stamp)
        self._records.beat(self._attempt)
        return process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                self._said.put(cast("dict[str, Any]", json.loads(line)))
        self._said.put(None)

    def _stay(self, process: subprocess.Popen[bytes]) -> None:
        while True:
            try:
                said = self._said.get(timeout=_TICK)
                if said is None:
                    break
                self._hear(said)
            except queue.Empty:
                pass
            except KeyboardInterrupt:
                # How Ray asks a task to stop.
                self._stop.set()
            self._stop_if_asked(process)
            self._beat_if_due(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        _kill(process)

    def _hear(self, said: dict[str, Any]) -> None:
        if "progress" in said:
            self._attempt = replace(self._attempt, progress=said["progress"])
        else:
            self._outcome = said

    def _stop_if_asked(self, process: subprocess.Popen[bytes]) -> None:
        if self._stop.is_set() and self._asked_at is None:
            self._asked_at = time.monotonic()
            _let_go(process)
        if self._asked_at is not None and time.monotonic() - self._asked_at > GRACE:
            _kill(process)

    def _beat_if_due(self, process: subprocess.Popen[bytes]) -> None:
        if time.monotonic() < self._beat_at:
            return
        self._beat_at = time.monotonic() + BEAT
        if self._records.is_superseded(self._attempt):
            _kill(process)
        else:
            self._records.beat(self._attempt)

    def _end(self, code: int) -> Attempt:
        """Write down how the attempt has ended, unless others took it for dead and do it again."""
        if self._records.is_superseded(self._attempt):
            raise TakenError(f"{self._attempt.job} was taken over by another worker.")
        state, result, error = self._what_came(code)
        attempt = replace(self._attempt, state=state, result=result, error=error, ended=time.time())
        self._records.save(attempt)
        return attempt

    def _what_came(self, code: int) -> tuple[State, dict[str, Any], dict[str, Any]]:
        if "result" in self._outcome:
            return "finished", self._outcome["result"], {}
        if "error" in self._outcome:
            return "failed", {}, self._outcome["error"]
        if self._asked_at is not None:
            return "stopped", {}, {}
        return "failed", {}, {"type": "Crash", "message": _crash(code, Path(self._attempt.log)), "hint": ""}


def _crash(code: int, log: Path) -> str:
    """Say how a process has ended that did not say so itself."""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = log.read_bytes()[-_TAIL:].decode("utf-8", errors="replace").strip().splitlines()
    # What it said before it was killed has nothing to do with that.
    return f"The process {how}{f': {lines[-1]}' if lines and code >= 0 else '.'}"


def _let_go(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.kill()
    _let_go(process)
    process.wait()
