"""The engine of a Ray cluster: every job is a task that watches over the job's process on whatever node it lands."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from mocapact_cli.core.errors import MocapactError, RunError, UsageError
from mocapact_cli.core.fleet.carried import bring_home, do_anywhere
from mocapact_cli.core.fleet.engine import Ended
from mocapact_cli.core.fleet.records import TakenError
from mocapact_cli.core.fleet.supervise import GRACE
from mocapact_cli.core.formatting import counted
from mocapact_cli.core.interop.extras import require
from mocapact_cli.core.progress import NullProgress, Progress

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.fleet.plan import Plan

CONNECT_LIMIT = 30.0
"""Seconds in which a cluster must answer."""
_PORT_LIMIT = 5.0
_PROBE = "import sys, ray; ray.init(address=sys.argv[1], logging_level='ERROR', log_to_driver=False)"
_HINT = "Start one with `ray start --head`, give the address of another with --address, or use --engine local."


class RayEngine:
    """Runs jobs on a Ray cluster.

    Args:
        folder: The plan's folder, which all nodes see.
        plan: The plan.
        address: `host:port` or `ray://host:port`; None for `RAY_ADDRESS`, or the cluster of this machine.
        jobs: How many at once; None for as many as the cluster has room for.
        progress: Told what the cluster has.

    Raises:
        MissingDependencyError: Ray is not installed.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        address: str | None = None,
        jobs: int | None = None,
        *,
        progress: Progress | None = None,
    ) -> None:
        self._ray: Any = require("ray", purpose="fleets on a cluster", extra="ray")
        self._folder, self._plan, self._most = folder, plan, jobs or len(plan.jobs)
        self._address = address or os.environ.get("RAY_ADDRESS") or "auto"
        self._progress = progress or NullProgress()
        self._tasks: dict[Any, str] = {}
        self._stopping = False

    def room(self) -> int:
        """How many more jobs it would take now; Ray keeps those that it has no room for in line."""
        return 0 if self._stopping else self._most - len(self._tasks)

    def start(self, job_id: str, seen: int) -> None:
        """Begin a job, whose last attempt had the number `seen`; 0 for none."""
        self._tasks[self._do.remote(str(self._folder), self._plan, job_id, seen)] = job_id

    def running(self) -> set[str]:
        """Jobs that were begun and have not been told as ended."""
        return set(self._tasks.values())

    def ended(self, timeout: float) -> list[Ended]:
        """Wait for ends of jobs, at most so many seconds, and return those there are."""
        if not self._tasks:
            time.sleep(timeout)
            return []
        tasks = list(self._tasks)
        if self._ray.wait(tasks, num_returns=1, timeout=timeout)[0]:
            return [self._end(task) for task in self._ray.wait(tasks, num_returns=len(tasks), timeout=0)[0]]
        return []

    def stop(self) -> None:
        """Let running jobs save themselves and end."""
        self._stopping = True
        for task in self._tasks:
            # As Ctrl-C in the process that watches over the job.
            self._ray.cancel(task, force=False)
        if self._tasks:
            self._ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=GRACE)
        self._tasks.clear()

    def __enter__(self) -> Self:
        address = self._address
        check_answers(address)
        try:
            self._ray.init(address=address, logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RunError(f"There is no Ray cluster at {address}: {_line(error)}", hint=_HINT) from error
        options = {"num_cpus": self._plan.threads_per_job, "num_gpus": self._plan.gpus_per_job}
        # What a job is worth trying again is decided by the records, not by Ray.
        remote = self._ray.remote(max_retries=0, scheduling_strategy="SPREAD", **options)
        self._do = remote(do_anywhere)
        self._say_what_there_is()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        self._ray.shutdown()

    def _say_what_there_is(self) -> None:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        cores = sum(node.get("CPU", 0.0) for node in nodes)
        self._progress.message(f"Ray at {self._address}: {counted(len(nodes), 'node')}, {counted(int(cores), 'core')}.")
        threads, gpus = self._plan.threads_per_job, self._plan.gpus_per_job
        if not any(node.get("CPU", 0.0) >= threads and node.get("GPU", 0.0) >= gpus for node in nodes):
            self._progress.message(f"No node has {counted(threads, 'core')} and {gpus:g} GPUs; jobs wait for one.")

    def _end(self, task: Any) -> Ended:
        job_id = self._tasks.pop(task)
        errors = self._ray.exceptions
        try:
            return Ended(job_id, bring_home(self._folder, self._ray.get(task)))
        except errors.RayTaskError as error:
            cause = error.cause
            return Ended(job_id) if isinstance(cause, TakenError) else Ended(job_id, problem=_told(cause))
        except errors.RayError:
            # Its worker or node is gone. The records say when it is safe to begin it again.
            return Ended(job_id)


def check_answers(address: str) -> None:
    """See that a Ray cluster answers, in a process of its own: Ray itself waits for minutes, then ends the process.

    Raises:
        RunError: None does.
        UsageError: The address is none.
    """
    if address not in ("auto", "local"):
        _check_port(address)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, address],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CONNECT_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RunError(f"The Ray cluster at {address} did not answer in {CONNECT_LIMIT:g} s.", hint=_HINT) from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason was given"]
        raise RunError(f"There is no Ray cluster at {address}: {said[-1].partition(': ')[2] or said[-1]}", hint=_HINT)


def _check_port(address: str) -> None:
    try:
        parts = urlsplit(address if "://" in address else f"ray://{address}")
        place = (parts.hostname or "", parts.port or 0)
    except ValueError:
        place = ("", 0)
    if not all(place):
        raise UsageError(f"{address!r} is no address of a Ray cluster.", hint="Write HOST:PORT, such as 10.0.0.1:6379.")
    try:
        socket.create_connection(place, timeout=_PORT_LIMIT).close()
    except OSError as error:
        raise RunError(f"Nothing answers at {address}: {error.strerror or error}.", hint=_HINT) from error


def _told(cause: Any) -> Exception:
    if isinstance(cause, MocapactError | OSError):
        return cause
    if isinstance(cause, ModuleNotFoundError):
        return RunError(
            f"A node of the cluster lacks a package: {cause}.", hint="Install mocapact on every node, in one version."
        )
    return RunError(f"A node could not run a job: {_line(cause)}")


def _line(error: object) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
