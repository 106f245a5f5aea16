"""Tracking for those who may see where the walker's balance is going, as dm_control's observables do not show it.

A walker falls slowly at first, as an inverted pendulum does: what matters is not where its centre of mass is, but
where that is heading. One number a direction says it, the extrapolated centre of mass x + v / sqrt(g / l) of Hof et
al. (2005, "The condition for dynamic stability"), the capture point of Pratt et al. (2006). Spread over a hundred
joint angles and velocities it is hard to find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.sim.observables import PREFIX, Moment, Previous
from mocapact_cli.core.tasks.tracking import TrackingConfig, TrackingCursor, TrackingTask
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, FloatArray, Walker

BALANCE = f"{PREFIX}balance"
"""Six vectors in the root's frame: the reference's centre of mass, velocity of it and extrapolated one minus the
walker's; the walker's velocity; its extrapolated centre of mass as seen from its right and from its left foot."""
_PENDULUM_FREQUENCY = float(np.sqrt(9.81 / 0.95))
"""1/s, sqrt(g / l) of a walker that stands."""


class BalanceTask(TrackingTask):
    """Tracking one or more snippets, with the observable `BALANCE`.

    Args:
        snippets: (clip, snippet) pairs.
        config: The settings.

    Raises:
        InvalidInputError: If a snippet lies outside its clip or is too short for `min_steps` and `ref_steps`.
    """

    watches_torso = True
    own_observables: Mapping[str, int] = MappingProxyType({BALANCE: 18})

    def __init__(self, snippets: Sequence[tuple[Clip, Snippet]], config: TrackingConfig) -> None:
        super().__init__(snippets, config)
        clips = {clip.id: clip for clip, _ in snippets}.values()
        paths = [clip.center_of_mass for clip in clips]
        # Of each clip by itself: between two of them nothing moves.
        self.reference_velocities: FloatArray = np.concatenate(
            [np.gradient(path, CONTROL_TIMESTEP, axis=0) for path in paths]
        )

    def cursor(self, walker: Walker, capacity: int) -> TrackingCursor:
        """What follows the episodes of a shard with so many rows."""
        return BalanceCursor(self, walker, capacity)


@dataclass
class BalanceCursor(TrackingCursor):
    """Where each environment of a shard is in its snippet, and how its balance stands."""

    task: BalanceTask

    def moment(self, features: Features, count: int, previous: Previous) -> Moment:
        """What the observables of the first `count` rows are computed from."""
        moment = super().moment(features, count, previous)
        moment.own = {BALANCE: self._balance(moment, count)}
        return moment

    def _balance(self, at: Moment, count: int) -> FloatArray:
        """(count, 18), metres and metres a second."""
        features, now = at.features, self.rows(count)
        center, wanted = features.com[:count], self.task.bank.points[now, :3]
        wanted_velocity = self.task.reference_velocities[now]
        # The simulation has not computed it yet where an episode begins, and there it is the reference's.
        begun = (self.step[:count] == self.start[:count])[:, None]
        velocity = np.where(begun, wanted_velocity, features.torso_linvel[:count])
        extrapolated = center + velocity / _PENDULUM_FREQUENCY
        off, off_velocity = wanted - center, wanted_velocity - velocity
        feet = features.body_positions[:count, self.walker.end_effectors[2:]]
        vectors = np.concatenate(
            [
                np.stack([off, off_velocity, off + off_velocity / _PENDULUM_FREQUENCY, velocity], axis=1),
                extrapolated[:, None] - feet,
            ],
            axis=1,
        )
        return np.asarray(np.matmul(vectors, at.rotation)).reshape(count, -1)
