"""Controllers that have learned nothing, to compare policies with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.errors import check_known
from mocapact_cli.core.rollouts.streams import RANDOM_ACTIONS, EpisodeStreams
from mocapact_cli.core.walker.model import NUM_JOINTS
from mocapact_cli.core.walker.statics import holding_actions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.envs.batch import TrackingBatch
    from mocapact_cli.core.rollouts.episodes import Actor, PlannedEpisode

    Float32Array = NDArray[np.float32]


class ZeroActor:
    """Aims at the middle of every joint's range."""

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:  # noqa: ARG002
        """Return zeros (N, 56)."""
        return np.zeros((len(observations), NUM_JOINTS), dtype=np.float32)


class RandomActor:
    """Draws every action uniformly from [-1, 1], each episode from a stream of its own.

    Args:
        plan: The episodes that run.
        seed: Of all streams.
    """

    def __init__(self, plan: Sequence[PlannedEpisode], seed: int) -> None:
        self._streams = EpisodeStreams(seed, lambda index: plan[index].key, RANDOM_ACTIONS)

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        """Return the next actions (N, 56) of the episodes."""
        self._streams.follow(episodes)
        actions = np.zeros((len(observations), NUM_JOINTS), dtype=np.float32)
        for env in np.flatnonzero(episodes >= 0):
            actions[env] = 2.0 * self._streams[int(episodes[env])].random(NUM_JOINTS, dtype=np.float32) - 1.0
        return actions


class PoseActor:
    """Aims at the reference's next pose with the walker's position actuators: a PD controller without feedforward.

    Args:
        batch: The environments.
        against_gravity: Aim where holding that pose needs it, which is a little beyond it.
    """

    def __init__(self, batch: TrackingBatch, *, against_gravity: bool = False) -> None:
        self._batch = batch
        poses, walker = batch.task.bank.qpos, batch.walker
        aims = holding_actions(walker, poses) if against_gravity else walker.pose_to_action(poses[:, 7:])
        self._aims = np.clip(aims, -1.0, 1.0).astype(np.float32)

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:  # noqa: ARG002
        """Return the targets (N, 56) for the reference one step from now."""
        return np.asarray(self._aims[self._batch.reference_rows(1)])


_MAKERS: dict[str, Callable[[TrackingBatch, Sequence[PlannedEpisode], int], Actor]] = {
    "zero": lambda batch, plan, seed: ZeroActor(),  # noqa: ARG005
    "random": lambda batch, plan, seed: RandomActor(plan, seed),  # noqa: ARG005
    "pd": lambda batch, plan, seed: PoseActor(batch),  # noqa: ARG005
    "pd-gravity": lambda batch, plan, seed: PoseActor(batch, against_gravity=True),  # noqa: ARG005
}
BASELINES = tuple(_MAKERS)
"""Names of the controllers, from the simplest on."""


def check_baselines(names: Sequence[str]) -> None:
    """Raise a `UsageError` unless all `names` are known."""
    for name in names:
        check_known(name, BASELINES, "baseline")


def make_baseline(name: str, batch: TrackingBatch, plan: Sequence[PlannedEpisode], seed: int) -> Actor:
    """Return the controller `name` of `BASELINES` for a batch that runs `plan`.

    Raises:
        UsageError: There is none of this name.
    """
    check_baselines([name])
    return _MAKERS[name](batch, plan, seed)
