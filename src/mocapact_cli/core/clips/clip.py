"""One clip of reference motion in memory."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mocapact_cli.core.walker import Walker

FloatArray = NDArray[np.float64]

CONTROL_TIMESTEP = 0.03
"""Seconds between the poses of every clip that mocapact makes."""


@dataclass(frozen=True, eq=False)
class Clip:
    """T poses of the walker, with the velocities and derived positions that dm_control's mocap data holds.

    Attributes:
        id: Such as `CMU_016_22`.
        dt: Seconds between poses.
        position: (T, 3) root position, metres, world frame.
        quaternion: (T, 4) root orientation, scalar first.
        joints: (T, 56) joint angles in radians, mocap order.
        velocity: (T, 3) root velocity, world frame, m/s.
        angular_velocity: (T, 3) root angular velocity in the root's frame (MuJoCo's free joint), rad/s.
        joints_velocity: (T, 56) rad/s.
        center_of_mass: (T, 3) world frame.
        end_effectors: (T, 4, 3) right and left radius, right and left foot, relative to the root, in its frame.
        appendages: (T, 5, 3) the end effectors and the head, in the same frame.
        body_positions: (T, B, 3) world frame; B is 31 for the walker.
        body_quaternions: (T, B, 4) scalar first.
    """

    id: str
    dt: float
    position: FloatArray
    quaternion: FloatArray
    joints: FloatArray
    velocity: FloatArray
    angular_velocity: FloatArray
    joints_velocity: FloatArray
    center_of_mass: FloatArray
    end_effectors: FloatArray
    appendages: FloatArray
    body_positions: FloatArray
    body_quaternions: FloatArray

    @property
    def num_steps(self) -> int:
        """Number of poses T."""
        return len(self.position)

    @property
    def last_step(self) -> int:
        """Index of the last pose."""
        return self.num_steps - 1

    @property
    def duration(self) -> float:
        """Seconds from the first pose to the last."""
        return self.last_step * self.dt

    def qpos(self) -> FloatArray:
        """(T, 63) root position, root quaternion and joint angles: the walker's generalized positions."""
        return np.concatenate([self.position, self.quaternion, self.joints], axis=1)

    def qvel(self) -> FloatArray:
        """(T, 62) root velocity, root angular velocity and joint velocities."""
        return np.concatenate([self.velocity, self.angular_velocity, self.joints_velocity], axis=1)

    def slice(self, start: int, end: int) -> Clip:
        """Return the poses from step `start` to step `end`, both included.

        Raises:
            InvalidInputError: The range lies outside the clip.
        """
        if not 0 <= start < end <= self.last_step:
            raise InvalidInputError(f"Steps {start} to {end} are not inside {self.id} (0 to {self.last_step}).")
        return replace(self, **{name: getattr(self, name)[start : end + 1] for name in ARRAYS})

    @classmethod
    def from_qpos(
        cls, clip_id: str, qpos: FloatArray, dt: float = CONTROL_TIMESTEP, walker: Walker | None = None
    ) -> Clip:
        """Build a clip from poses; velocities are forward differences and the rest follows by forward kinematics.

        Args:
            qpos: (T, 63) poses, T at least 2.
            walker: Defaults to the process's walker.
        """
        from mocapact_cli.core.walker import finite_difference_velocities, get_walker, pose_features

        walker = walker or get_walker()
        qvel = finite_difference_velocities(walker, qpos, dt)
        features = pose_features(walker, qpos)
        return cls(
            clip_id, dt,
            qpos[:, :3], qpos[:, 3:7], qpos[:, 7:], qvel[:, :3], qvel[:, 3:6], qvel[:, 6:],
            features.center_of_mass, features.end_effectors, features.appendages,
            features.body_positions, features.body_quaternions,
        )  # fmt: skip


ARRAYS = tuple(field.name for field in fields(Clip))[2:]
"""Names of a clip's arrays, as in the file format."""
