"""A part of a batch, advanced by one thread at a time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.sim.observables import NEEDS_SUBTREE_VELOCITIES, ObservableLayout, Previous, observe
from mocapact_cli.core.sim.physics import PhysicsShard
from mocapact_cli.core.tasks.tracking import BoolArray, Judgement, Start, TrackingTask
from mocapact_cli.core.walker.model import FloatArray, IntArray, Walker

Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class EpisodeRecord:
    """An ended episode of a shard: environment, start, length, return, how it ended and what was measured."""

    env: int
    start: Start
    length: int
    episode_return: float
    failed: bool
    diverged: bool
    measures: dict[str, float]


@dataclass(frozen=True)
class ShardResult:
    """The outcome of a control step in a shard; the fields are those of `.batch.StepBatch`."""

    observations: Float32Array
    rewards: FloatArray
    channels: dict[str, FloatArray]
    terminated: BoolArray
    truncated: BoolArray
    active: BoolArray
    final_observations: Float32Array
    done: list[int]
    records: list[EpisodeRecord]


class Shard:
    """n environments with their simulations, their places in the snippets and their running sums.

    Args:
        task: The task.
        walker: The body.
        layout: The observations' columns.
        size: Number n of environments.

    Attributes:
        starts: Where the current episode of each environment began.
        reached: (n,) rows of the task's reference bank that the last control step came to, before any reset.
    """

    def __init__(self, task: TrackingTask, walker: Walker, layout: ObservableLayout, size: int) -> None:
        subtree = task.watches_torso or not NEEDS_SUBTREE_VELOCITIES.isdisjoint(layout.names)
        self.physics = PhysicsShard(walker, size, subtree_velocities=subtree, falls=task.watches_falls)
        self.task, self.layout, self.size = task, layout, size
        self.cursor = task.cursor(walker, 2 * size)
        self.active: BoolArray = np.zeros(size, dtype=np.bool_)
        self._pose: FloatArray = np.zeros((size, walker.model.nq))
        self.starts: list[Start | None] = [None] * size
        self._returns: FloatArray = np.zeros(size)
        self._lengths = np.zeros(size, dtype=np.intp)
        self.reached: IntArray = np.zeros(size, dtype=np.intp)
        self._leaving: list[int] = []

    def reset(self, starts: Sequence[Start | None]) -> Float32Array:
        """Begin an episode in each environment that has a start; returns the first observations (n, P)."""
        for env, start in enumerate(starts):
            self._begin(env, env, start)
            if start is None:
                self._park(env)
        self._leaving = []
        pose = self.physics.features.qpos[: self.size]
        self._pose[:] = pose
        return self._observe(self.size, pose)

    def prepare(self, actions: FloatArray) -> None:
        """Take the actions (n, 56) of the next control step; rows with non-finite entries count as divergence."""
        # Only now, so that until here the features tell how the last episodes ended.
        for env in self._leaving:
            self._park(env)
        self._leaving = []
        self._actions = actions
        self._was_active = self.active.copy()
        self._unusable: BoolArray = np.logical_not(np.isfinite(actions).all(axis=1))
        if self._unusable.any():
            self._actions = np.where(self._unusable[:, None], 0.0, actions)
        self._unstepped = itertools.count(self.size - 1, -1)

    def advance(self, env: int) -> bool:
        """Step one simulation; true if it was the last one of the shard, whichever thread it was on."""
        if self.active[env]:
            self.physics.step(env, self._actions[env])
        return next(self._unstepped) == 0

    def finish(self, queued: Sequence[Start | None]) -> ShardResult:
        """Reward, end and begin episodes, after all simulations have been stepped.

        Args:
            queued: The next start of each environment, None where there is none.
        """
        # A diverged simulation holds values that are no numbers; it is found by its warnings, not by NumPy's.
        with np.errstate(all="ignore"):
            return self._finish(queued)

    def _finish(self, queued: Sequence[Start | None]) -> ShardResult:
        active = self._was_active
        self.cursor.step[: self.size] += active
        self.reached = self.cursor.rows(self.size)
        judgement, diverged = self._judge(self._unusable)
        ending = active & (judgement.failed | judgement.ended)
        rewards = np.where(active, judgement.rewards, 0.0)
        self._returns += rewards
        self._lengths += active
        done = np.flatnonzero(ending).tolist()
        records = [self._record(env, bool(judgement.failed[env]), bool(diverged[env])) for env in done]
        observations, final = self._next_observations(done, queued)
        return ShardResult(
            observations=observations,
            rewards=rewards,
            channels=judgement.channels,
            terminated=ending & judgement.failed,
            truncated=ending & ~judgement.failed,
            active=active,
            final_observations=final,
            done=done,
            records=records,
        )

    def poses(self) -> tuple[FloatArray, FloatArray]:
        """Current qpos (n, 63) and the reference's (n, 63)."""
        return self._pose.copy(), self.task.bank.qpos[self.cursor.rows(self.size)]

    def _begin(self, env: int, row: int, start: Start | None) -> None:
        self.starts[env] = start
        self.active[env] = start is not None
        self._returns[env], self._lengths[env] = 0.0, 0
        if start is not None:
            self.physics.reset(env, row, *self.cursor.begin(row, start))

    def _judge(self, unusable: BoolArray) -> tuple[Judgement, BoolArray]:
        """The task's judgement; a simulation with a warning has failed and is worth nothing, as in dm_control."""
        features = self.physics.features
        judgement = self.cursor.judge(features, self.size)
        diverged = unusable | features.warnings[: self.size].any(axis=1) | ~np.isfinite(judgement.rewards)
        if diverged.any():
            judgement.failed |= diverged
            judgement.rewards[diverged] = 0.0
            for channel in judgement.channels.values():
                channel[diverged] = 0.0
        return judgement, diverged

    def _record(self, env: int, failed: bool, diverged: bool) -> EpisodeRecord:
        start = self.starts[env]
        if start is None:
            raise RuntimeError("An environment without an episode has ended one.")
        return EpisodeRecord(
            env,
            start,
            int(self._lengths[env]),
            float(self._returns[env]),
            failed,
            diverged,
            self.cursor.measures(env),
        )

    def _next_observations(
        self, done: Sequence[int], queued: Sequence[Start | None]
    ) -> tuple[Float32Array, Float32Array]:
        """First the queued episodes begin in the spare rows; then one pass observes last and first states alike."""
        qpos, cursor, size = self.physics.features.qpos, self.cursor, self.size
        begun = [env for env in done if queued[env] is not None]
        rows = {env: size + index for index, env in enumerate(begun)}
        for env in done:
            self._begin(env, rows.get(env, env), queued[env])
        count = size + len(rows)
        flat = self._observe(count, np.concatenate([self._pose, qpos[size:count]]))
        final = np.nan_to_num(flat[list(done)]) if done else flat[:0]
        self._pose[:] = qpos[:size]
        for index, env in enumerate(done):
            if env in rows:
                flat[env], self._pose[env] = flat[rows[env]], qpos[rows[env]]
                cursor.adopt(env, rows[env])
            else:
                self._leaving.append(env)
                flat[env] = final[index]
        return flat[:size], final

    def _park(self, env: int) -> None:
        """Leave an environment without an episode in a sound state, whatever became of its simulation."""
        start = Start(int(self.cursor.snippet[env]), int(self.task.bank.start_step[self.cursor.snippet[env]]))
        self.physics.reset(env, env, *self.cursor.begin(env, start))

    def _observe(self, count: int, previous_pose: FloatArray) -> Float32Array:
        previous = Previous(previous_pose[:, :3], previous_pose[:, 3:7], previous_pose[:, 7:])
        flat: Float32Array = np.empty((count, self.layout.size), dtype=np.float32)
        observe(self.cursor.moment(self.physics.features, count, previous), self.layout, flat)
        return flat
