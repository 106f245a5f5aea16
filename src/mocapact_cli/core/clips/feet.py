"""Where the walker's feet are, when they carry, and how they slide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.clips.clip import FloatArray
from mocapact_cli.core.quaternions import quat_to_mat

if TYPE_CHECKING:
    from mocapact_cli.core.walker import Walker

CONTACT_HEIGHT = 0.03
"""Metres above the floor below which a point of the sole counts as touching."""

_SIDES = ("l", "r")


def sole_points(walker: Walker, qpos: FloatArray) -> FloatArray:
    """Lowest points of the left and the right foot's spheres and capsule ends, world frame.

    Args:
        qpos: (T, 63) poses.

    Returns:
        (T, 2, 7, 3) metres; where a point lies on the floor, its geom touches it.
    """
    model, data = walker.model, mujoco.MjData(walker.model)
    geoms, ends = _sole(walker)
    points = np.empty((len(qpos), 2, ends.shape[1], 3))
    for step, pose in enumerate(qpos):
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        axes = data.geom_xmat[geoms].reshape(*geoms.shape, 3, 3)[..., 2]
        points[step] = data.geom_xpos[geoms] + ends[..., None] * axes
    points[..., 2] -= model.geom_size[geoms, 0]
    return points


class Soles:
    """The sole points of many poses at once, from the bodies' positions and orientations.

    The points are those of `sole_points`, which needs the joint angles and forward kinematics.
    """

    def __init__(self, walker: Walker) -> None:
        model = walker.model
        geoms, ends = _sole(walker)
        axes = quat_to_mat(model.geom_quat[geoms])[..., 2]
        self._bodies = model.geom_bodyid[geoms] - walker.tracking_bodies[0]
        self._turned, turns = np.unique(self._bodies, return_inverse=True)
        self._turns = turns.reshape(self._bodies.shape)
        self._offsets = model.geom_pos[geoms] + ends[..., None] * axes
        self._radius = model.geom_size[geoms, 0]

    def points(self, body_positions: FloatArray, body_quaternions: FloatArray) -> FloatArray:
        """Sole points (..., 2, 7, 3), metres.

        Args:
            body_positions: (..., 31, 3) of the tracked bodies, world frame.
            body_quaternions: (..., 31, 4) scalar first.
        """
        # Each body carries several points but turns once.
        rotations = quat_to_mat(body_quaternions[..., self._turned, :])[..., self._turns, :, :]
        points: FloatArray = body_positions[..., self._bodies, :] + np.einsum("...ij,...j", rotations, self._offsets)
        points[..., 2] -= self._radius
        return points


def _sole(walker: Walker) -> tuple[NDArray[np.intp], FloatArray]:
    """Geom of each sole point (2, P) and its distance from the geom's centre along the geom's axis."""
    model = walker.model
    geoms: list[list[int]] = [[], []]
    ends: list[list[float]] = [[], []]
    for geom in walker.foot_geoms:
        name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_BODY, model.geom_bodyid[geom])
        side = _SIDES.index(name.split("/")[-1][0])
        half = model.geom_size[geom, 1] if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
        for end in (-half, half) if half else (0.0,):
            geoms[side].append(int(geom))
            ends[side].append(float(end))
    return np.array(geoms, dtype=np.intp), np.array(ends)


def lowest_feet(points: FloatArray) -> FloatArray:
    """(T,) height of the lower foot's lowest point."""
    return np.asarray(points[..., 2].min(axis=(1, 2)))


def sole_steps(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How each foot's lowest point moves on to the next pose.

    Args:
        points: (T, 2, P, 3) from `sole_points`.

    Returns:
        (T - 1, 2, 2) horizontal displacement in metres; (T - 1, 2) the larger of its heights before and after.
    """
    lowest = points[:-1, ..., 2].argmin(axis=-1)[..., None, None]
    here = np.take_along_axis(points[:-1], lowest, axis=2)[:, :, 0]
    there = np.take_along_axis(points[1:], lowest, axis=2)[:, :, 0]
    return (there - here)[..., :2], np.maximum(here[..., 2], there[..., 2])


def touching(points: FloatArray) -> NDArray[np.bool_]:
    """Whether each foot touches the floor from one pose to the next: its lowest point is within 3 cm of it in both.

    Args:
        points: (T, 2, P, 3) from `sole_points`, floor at height 0.

    Returns:
        (T - 1, 2) left and right foot.
    """
    return np.asarray(sole_steps(points)[1] < CONTACT_HEIGHT)


def skate_speed(points: FloatArray, dt: float) -> float:
    """Mean horizontal speed (m/s) of the supporting foot's lowest point; 0 where no foot ever touches.

    A foot touches as `touching` says; of two touching feet the slower one supports, for the other may be
    swinging closely over the floor.

    Args:
        points: (T, 2, P, 3) from `sole_points`, floor at height 0.
    """
    moved, height = sole_steps(points)
    speeds = np.where(height < CONTACT_HEIGHT, np.linalg.norm(moved, axis=-1) / dt, np.inf).min(axis=1)
    supported = np.isfinite(speeds)
    return float(speeds[supported].mean()) if supported.any() else 0.0
