"""The engine of one machine: as many processes as its cores have room for, each bound to cores of its own."""

from __future__ import annotations

import os
import queue
import threading
from typing import TYPE_CHECKING, Self

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.fleet.engine import Ended
from mocapact_cli.core.fleet.machine import cores_here
from mocapact_cli.core.fleet.records import TakenError
from mocapact_cli.core.fleet.supervise import supervise

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.fleet.plan import Plan


class LocalEngine:
    """Runs jobs on this machine.

    Args:
        folder: The plan's folder.
        plan: The plan.
        jobs: How many at once; None for as many as there are cores and GPUs for.

    Raises:
        UsageError: The machine has too few cores or GPUs for that.
    """

    def __init__(self, folder: Path, plan: Plan, jobs: int | None = None) -> None:
        self._folder = folder
        self._gpus = _gpu_places(plan.gpus_per_job)
        self._slots = _slots(plan, jobs, self._gpus)
        self._stop = threading.Event()
        self._done: queue.Queue[Ended] = queue.Queue()
        self._threads: dict[str, threading.Thread] = {}

    def room(self) -> int:
        """How many more jobs it would take now."""
        return 0 if self._stop.is_set() else self._slots - len(self._threads)

    def start(self, job_id: str, seen: int) -> None:
        """Begin a job, whose last attempt had the number `seen`; 0 for none."""
        thread = threading.Thread(target=self._run, args=(job_id, seen), name=job_id)
        self._threads[job_id] = thread
        thread.start()

    def running(self) -> set[str]:
        """Jobs that were begun and have not been told as ended."""
        return set(self._threads)

    def ended(self, timeout: float) -> list[Ended]:
        """Wait for ends of jobs, at most so many seconds, and return those there are."""
        try:
            found = [self._done.get(timeout=timeout)]
        except queue.Empty:
            return []
        while not self._done.empty():
            found.append(self._done.get())
        for end in found:
            self._threads.pop(end.job_id).join()
        return found

    def stop(self) -> None:
        """Let running jobs save themselves and end."""
        self._stop.set()
        for thread in self._threads.values():
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _run(self, job_id: str, seen: int) -> None:
        gpu = self._gpus.pop() if self._gpus else ""
        try:
            places = {"CUDA_VISIBLE_DEVICES": gpu}
            self._done.put(Ended(job_id, supervise(self._folder, job_id, seen, stop=self._stop, environment=places)))
        except TakenError:
            self._done.put(Ended(job_id))
        except Exception as error:  # noqa: BLE001 - told to the driver
            self._done.put(Ended(job_id, problem=error))
        finally:
            if gpu:
                self._gpus.append(gpu)


def _slots(plan: Plan, jobs: int | None, gpus: list[str]) -> int:
    cores = len(cores_here())
    most = cores // plan.threads_per_job
    if plan.gpus_per_job:
        most = min(most, len(gpus))
    if most < 1 or (jobs or 0) > most:
        raise UsageError(
            f"{jobs or 1} job(s) at once with {plan.threads_per_job} core(s) and {plan.gpus_per_job:g} GPU(s) each are "
            f"too many for this machine: it has {cores} core(s) and room for {most}.",
            hint="Lower --jobs, --threads-per-job or --gpus-per-job.",
        )
    return jobs or most


def _gpu_places(share: float) -> list[str]:
    """The GPU of each place for a job; one GPU has several places where jobs share it."""
    if not share:
        return []
    names = _gpus_here()
    if share >= 1:
        count = int(share)
        return [",".join(names[at : at + count]) for at in range(0, len(names) - count + 1, count)]
    # Dealt out so that all are used before one is shared.
    return names * int(1 / share + 1e-9)


def _gpus_here() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
