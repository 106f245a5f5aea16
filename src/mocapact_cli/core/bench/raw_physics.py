"""Bare `mj_step` that repeats what an environment has done: the other side of comparisons."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence

import mujoco
import numpy as np

from mocapact_cli.core.tasks.tracking import BoolArray
from mocapact_cli.core.walker.model import SUBSTEPS, FloatArray

State = tuple[FloatArray, FloatArray]
"""qpos and qvel at which a simulation begins."""


class RawPhysics:
    """Simulations without observations, rewards or endings, stepped on threads.

    Args:
        model: The model.
        num_envs: N, simulations.
        threads: Threads, each with an equal share of the simulations.

    Attributes:
        data: The simulations.
    """

    def __init__(self, model: mujoco.MjModel, num_envs: int, threads: int) -> None:
        self._model, self._threads = model, threads
        self.data = [mujoco.MjData(model) for _ in range(num_envs)]

    def start(self, env: int, state: State | None) -> None:
        """Begin anew from a state; None for the model's own."""
        data = self.data[env]
        mujoco.mj_resetData(self._model, data)
        if state is not None:
            data.qpos[:], data.qvel[:] = state

    def replay(
        self,
        actions: FloatArray,
        resets: Sequence[Sequence[tuple[int, State | None]]],
        active: BoolArray | None = None,
    ) -> float:
        """Take K control steps and return the seconds they took.

        Args:
            actions: (K, N, 56).
            resets: For each step the simulations that begin anew after it, and where.
            active: (K, N) which simulations are stepped; default: all.
        """
        active = np.ones(actions.shape[:2], dtype=np.bool_) if active is None else active
        bounds = [round(part * len(self.data) / self._threads) for part in range(self._threads + 1)]
        workers = [
            threading.Thread(target=self._replay, args=(actions, resets, active, begin, end))
            for begin, end in itertools.pairwise(bounds)
        ]
        begun = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return time.perf_counter() - begun

    def _replay(
        self,
        actions: FloatArray,
        resets: Sequence[Sequence[tuple[int, State | None]]],
        active: BoolArray,
        begin: int,
        end: int,
    ) -> None:
        model, step = self._model, mujoco.mj_step
        for action, running, ended in zip(actions, active, resets, strict=True):
            for env in range(begin, end):
                if running[env]:
                    data = self.data[env]
                    data.ctrl[:] = action[env]
                    step(model, data, SUBSTEPS)
            for env, state in ended:
                if begin <= env < end:
                    self.start(env, state)
