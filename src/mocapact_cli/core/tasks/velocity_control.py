"""Moving at a velocity that changes now and then: MoCapAct's `VelocityControl` over a batch of environments.

Wagener et al., "MoCapAct: a multi-task dataset for simulated humanoid control", NeurIPS 2022. A step is rewarded by
exp(-((|v*| - |v|) / margin)^2) ((cos angle + 1) / 2)^exponent for the velocity v of the walker's centre of mass on the
floor's plane, the wanted one v* and the angle between them; the second factor is 1 where v is zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.sim.observables import Moment
from mocapact_cli.core.tasks.goal import ARROW_HEIGHT, GoalCursor, GoalSettings, GoalTask, Mark, Measures
from mocapact_cli.core.walker.model import FloatArray, Walker

TARGET = "target_obs"
_STANDING = 1e-8
"""Metres a second; below this on both axes there is no direction (NumPy's `isclose`)."""


@dataclass(frozen=True)
class VelocityControlSettings(GoalSettings):
    """Settings of the task; the defaults are the paper's."""

    max_steps: int = 2000
    """Control steps of an episode."""
    max_speed: float = 4.5
    """Metres a second; wanted speeds are uniform from 0 to this, directions uniform all around."""
    reward_margin: float = 0.75
    """Metres a second that the speed may be off before the reward drops to 1/e."""
    direction_exponent: float = 7.0
    """How sharply the reward falls with the angle to the wanted direction."""
    steps_before_changing_velocity: int = 333
    """Steps after which another velocity is wanted."""


class VelocityControl(GoalTask):
    """Moving at a wanted speed in a wanted direction."""

    name = "velocity-control"
    summary = "move at a speed and in a direction that change now and then"
    watches_torso = True
    Settings: ClassVar[type[GoalSettings]] = VelocityControlSettings
    own_observables: Mapping[str, int] = MappingProxyType({TARGET: 4})
    observables = (
        TARGET, "walker/actuator_activation", "walker/appendages_pos", "walker/body_height",
        "walker/end_effectors_pos", "walker/joints_pos", "walker/joints_vel", "walker/sensors_accelerometer",
        "walker/sensors_gyro", "walker/sensors_torque", "walker/sensors_touch", "walker/sensors_velocimeter",
        "walker/torso_xvel", "walker/torso_yvel", "walker/world_zaxis",
    )  # fmt: skip

    def cursor(self, walker: Walker, capacity: int) -> VelocityControlCursor:
        """What follows the episodes of a shard with so many rows."""
        return VelocityControlCursor(self, walker, capacity)

    def summarize(self, episodes: Sequence[Measures]) -> dict[str, float | None]:
        """Mean differences from the wanted speed (m/s) and direction (degrees), over all steps of all episodes.

        Args:
            episodes: The measures of one or more.
        """
        steps = sum(measures["steps"] for measures in episodes)
        return {
            name: float(sum(measures[name] for measures in episodes) / steps)
            for name in ("speed_error", "direction_error")
        }


@dataclass
class VelocityControlCursor(GoalCursor):
    """Which velocity each environment is asked for, and how far from it it has been."""

    task: VelocityControl

    def __post_init__(self) -> None:
        super().__post_init__()
        self.settings: VelocityControlSettings = self.task.settings  # type: ignore[assignment]
        self.speed, self.angle = self.table(), self.table()
        self._asked_for, self._steps = self.table(), self.table()
        self._speed_error, self._direction_error = self.table(), self.table()

    def draw(self, row: int, qpos: FloatArray) -> None:  # noqa: ARG002
        """Draw a velocity."""
        self.speed[row] = self.streams[row].uniform(0.0, self.settings.max_speed)
        self.angle[row] = self.streams[row].uniform(0.0, 2.0 * np.pi)
        self._asked_for[row] = 0

    def update(self, features: Features, count: int) -> None:
        """Ask for another velocity where one was wanted for long enough."""
        self._asked_for[:count] += 1
        for row in np.flatnonzero(self._asked_for[:count] >= self.settings.steps_before_changing_velocity):
            self.draw(int(row), features.qpos[row])

    def rewards(self, features: Features, count: int) -> FloatArray:
        """(count,) between 0 and 1."""
        velocity = features.torso_linvel[:count, :2]
        speed, standing = np.linalg.norm(velocity, axis=1), (np.abs(velocity) <= _STANDING).all(axis=1)
        wanted = np.stack([np.cos(self.angle[:count]), np.sin(self.angle[:count])], axis=1)
        direction = velocity / np.where(standing, 1.0, speed)[:, None]
        cosine = np.where(standing, 1.0, (wanted * direction).sum(axis=1))
        error = self.speed[:count] - speed
        self._steps[:count] += 1
        self._speed_error[:count] += np.abs(error)
        self._direction_error[:count] += np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
        closeness = np.exp(-np.square(error / self.settings.reward_margin))
        return np.asarray(closeness * ((cosine + 1.0) / 2.0) ** self.settings.direction_exponent)

    def own(self, moment: Moment, count: int) -> Mapping[str, FloatArray]:  # noqa: ARG002
        """Wanted speed, sine and cosine of its direction, and the share of its time that has passed."""
        angle, phase = self.angle[:count], self._asked_for[:count] / self.settings.steps_before_changing_velocity
        return {TARGET: np.stack([self.speed[:count], np.sin(angle), np.cos(angle), phase], axis=1)}

    def measures(self, env: int) -> dict[str, float]:
        """Steps, and sums over them of the differences from the wanted speed (m/s) and direction (degrees)."""
        return {
            "steps": float(self._steps[env]),
            "speed_error": float(self._speed_error[env]),
            "direction_error": float(self._direction_error[env]),
        }

    def marks(self, env: int, position: FloatArray) -> list[Mark]:
        """An arrow over the floor that shows where the walker should be half a second from now."""
        way = 0.5 * self.speed[env] * np.array([np.cos(self.angle[env]), np.sin(self.angle[env]), 0.0])
        return [Mark("arrow", np.array([*position[:2], ARROW_HEIGHT]), way)]
