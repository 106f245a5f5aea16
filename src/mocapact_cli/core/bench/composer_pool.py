"""dm_control's environment in as many processes as there are cores, as the original uses it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Self

import numpy as np

from mocapact_cli.core.bench.composer_env import composer_environment
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.tasks.tracking import TrackingConfig
from mocapact_cli.core.walker.model import NUM_JOINTS, FloatArray, get_walker

FRESH_POLICY_STD = 0.1
"""Standard deviation of the actions of a policy that has learned nothing yet, around zero."""


@dataclass(frozen=True)
class Workload:
    """What an environment is stepped through.

    Attributes:
        clip: A built-in clip, all of it.
        config: The task's settings.
        follow: Act by aiming at the next reference pose, rather than as a fresh policy does.
        ghost: With the original's transparent second walker.
    """

    clip: str
    config: TrackingConfig
    follow: bool = False
    ghost: bool = False


def follow_actions(clip_id: str) -> FloatArray:
    """(T - 1, 56) actions that aim at the pose of the next step, for each step of a built-in clip."""
    return np.clip(get_walker().pose_to_action(open_library().get(clip_id).joints[1:]), -1.0, 1.0)


class ComposerPool:
    """Processes that each hold one environment of every workload and step whichever is asked for.

    Args:
        workloads: What can be asked for, by name.
        processes: How many.

    Raises:
        RunError: A process could not make its environments.
    """

    def __init__(self, workloads: dict[str, Workload], processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for index in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, workloads, index), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        self._collect()

    def rate(self, name: str, seconds: float) -> float:
        """Control steps a second of all processes together, over whole episodes, each for at least `seconds`."""
        for pipe in self._pipes:
            pipe.send((name, seconds))
        return float(sum(self._collect()))

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
            process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _collect(self) -> Sequence[float]:
        try:
            answers = [pipe.recv() for pipe in self._pipes]
        except (EOFError, ConnectionError) as error:
            self.close()
            raise RunError("A process with dm_control's environment died.") from error
        for answer in answers:
            if isinstance(answer, str):
                self.close()
                raise RunError(f"dm_control's environment cannot run here: {answer}")
        return answers


def _serve(pipe: Connection, workloads: dict[str, Workload], seed: int) -> None:
    """Make the environments, then answer requests until the parent ends this process."""
    try:
        runners = {name: _Runner(workload, seed) for name, workload in workloads.items()}
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send(0.0)
    while True:
        name, seconds = pipe.recv()
        pipe.send(runners[name].rate(seconds))


class _Runner:
    def __init__(self, workload: Workload, seed: int) -> None:
        library = open_library()
        snippets = [(library.get(workload.clip), library.resolve(workload.clip))]
        self._environment: Any = composer_environment(snippets, workload.config, ghost=workload.ghost, seed=seed)
        self._targets = follow_actions(workload.clip) if workload.follow else None
        self._rng = np.random.default_rng(seed)

    def rate(self, seconds: float) -> float:
        steps, begun = 0, time.perf_counter()
        while True:
            steps += self._episode()
            elapsed = time.perf_counter() - begun
            if elapsed >= seconds:
                return steps / elapsed

    def _episode(self) -> int:
        environment, length = self._environment, 0
        timestep = environment.reset()
        while not timestep.last():
            timestep = environment.step(self._action(environment.task))
            length += 1
        return length

    def _action(self, task: Any) -> FloatArray:
        if self._targets is None:
            return FRESH_POLICY_STD * self._rng.standard_normal(NUM_JOINTS)
        return np.asarray(self._targets[task._time_step])
