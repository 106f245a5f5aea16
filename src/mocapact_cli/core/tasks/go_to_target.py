"""Going to a target that moves on once it is reached: dm_control's `GoToTarget` over a batch of environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.sim.observables import Moment
from mocapact_cli.core.tasks.goal import ARROW_HEIGHT, GoalCursor, GoalSettings, GoalTask, Mark, Measures
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, FloatArray, Walker

TARGET = "walker/target"
_ARROW_START, _ARROW_END = 0.3, 1.3
"""Metres from the walker to the arrow's ends."""


@dataclass(frozen=True)
class GoToTargetSettings(GoalSettings):
    """Settings of the task; the defaults are the original's."""

    max_steps: int = 833
    """Control steps of an episode."""
    moving_target: bool = True
    """Whether a target that was reached gives way to another one."""
    steps_before_moving_target: int = 10
    """Steps near a target after which it moves."""
    distance_tolerance: float = 1.0
    """Metres on the floor between the walker's root and a target that it is near."""
    arena_size: tuple[float, float] = (8.0, 8.0)
    """Half extents of the floor in metres; targets and walkers appear in its middle, half as long and wide."""


class GoToTarget(GoalTask):
    """A reward of 1 for every step near the target, and a new target after some of them.

    Where the walker begins and where targets appear is uniform over the middle of the arena. The one difference to
    dm_control's class: there the steps near a target are not counted anew when an episode begins, so that an episode
    depends on the one before.
    """

    name = "go-to-target"
    summary = "go to a target on the floor, which moves on when it is reached"
    Settings: ClassVar[type[GoalSettings]] = GoToTargetSettings
    own_observables: Mapping[str, int] = MappingProxyType({TARGET: 3})
    observables = (
        "walker/actuator_activation", "walker/appendages_pos", "walker/body_height", "walker/end_effectors_pos",
        "walker/joints_pos", "walker/joints_vel", "walker/sensors_accelerometer", "walker/sensors_gyro",
        "walker/sensors_torque", "walker/sensors_touch", "walker/sensors_velocimeter", TARGET, "walker/world_zaxis",
    )  # fmt: skip

    def cursor(self, walker: Walker, capacity: int) -> GoToTargetCursor:
        """What follows the episodes of a shard with so many rows."""
        return GoToTargetCursor(self, walker, capacity)

    def summarize(self, episodes: Sequence[Measures]) -> dict[str, float | None]:
        """Share of episodes that reach a target, targets an episode, and seconds from a target's coming to its reach.

        Args:
            episodes: The measures of one or more.
        """
        reached = np.array([measures["targets_reached"] for measures in episodes])
        seconds = sum(measures["seconds"] for measures in episodes)
        return {
            "success_rate": float(np.mean(reached > 0)),
            "targets_reached": float(reached.mean()),
            "time_to_target_s": float(seconds / reached.sum()) if reached.any() else None,
        }


@dataclass
class GoToTargetCursor(GoalCursor):
    """Where the targets are, and how long each environment has been near or on its way."""

    task: GoToTarget

    def __post_init__(self) -> None:
        super().__post_init__()
        self.settings: GoToTargetSettings = self.task.settings  # type: ignore[assignment]
        self._middle = np.array(self.settings.arena_size) / 2.0
        self.target = self.table(3)
        self._near, self._waited, self._found = (self.table() for _ in range(3))
        self._reached, self._seconds = self.table(), self.table()

    def draw(self, row: int, qpos: FloatArray) -> None:
        """Draw a target, and move the walker to a place on the floor."""
        self.target[row, :2] = self._place(row)
        qpos[:2] += self._place(row)

    def update(self, features: Features, count: int) -> None:  # noqa: ARG002
        """Move the targets that the walkers have been near for long enough."""
        for row in np.flatnonzero(self._near[:count] >= self.settings.steps_before_moving_target):
            self.target[row, :2] = self._place(int(row))
            self._near[row] = self._waited[row] = self._found[row] = 0.0

    def rewards(self, features: Features, count: int) -> FloatArray:
        """(count,) 1 near the target, else 0."""
        rows = slice(0, count)
        near = np.linalg.norm(self.target[rows, :2] - features.xpos[rows, 0, :2], axis=1) < self._tolerance
        if self.settings.moving_target:
            self._near[rows] += near
        self._waited[rows] += 1
        found = near * (1.0 - self._found[rows])
        self._found[rows] += found
        self._reached[rows] += found
        self._seconds[rows] += found * self._waited[rows] * CONTROL_TIMESTEP
        return np.asarray(near, dtype=np.float64)

    def own(self, moment: Moment, count: int) -> Mapping[str, FloatArray]:
        """The target relative to the root, metres, root frame."""
        offset = self.target[:count] - moment.features.xpos[:count, 0]
        return {TARGET: np.matmul(offset[:, None], moment.rotation)[:, 0]}

    def measures(self, env: int) -> dict[str, float]:
        """How many targets were reached, and the seconds from when they came to when they were reached, in all."""
        return {"targets_reached": float(self._reached[env]), "seconds": float(self._seconds[env])}

    def marks(self, env: int, position: FloatArray) -> list[Mark]:
        """The floor that is near the target; outside of it also an arrow there, since a film may not reach so far."""
        marks = [Mark("spot", self.target[env].copy(), np.full(3, self._tolerance))]
        start = np.array([*position[:2], ARROW_HEIGHT])
        way = np.array([*(self.target[env, :2] - position[:2]), 0.0])
        away = float(np.linalg.norm(way))
        if away > max(self._tolerance, _ARROW_END):
            marks.append(Mark("arrow", start + way * (_ARROW_START / away), way * ((_ARROW_END - _ARROW_START) / away)))
        return marks

    @property
    def _tolerance(self) -> float:
        return self.settings.distance_tolerance

    def _place(self, row: int) -> FloatArray:
        # Not uniform(): with arrays for its limits it takes ten times as long, for the same numbers.
        return -self._middle + 2.0 * self._middle * self.streams[row].random(2)
