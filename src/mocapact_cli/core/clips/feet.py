"""Where the walker's feet are, when they carry, and how they slide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.clips.clip import FloatArray

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


def skate_speed(points: FloatArray, dt: float) -> float:
    """Mean horizontal speed (m/s) of each touching foot's lowest point; 0 where no foot ever touches.

    A foot touches from one pose to the next if its lowest point is within 3 cm of the floor in both.

    Args:
        points: (T, 2, P, 3) from :func:`sole_points`, floor at height 0.
    """
    lowest = points[:-1, ..., 2].argmin(axis=-1)[..., None, None]
    here = np.take_along_axis(points[:-1], lowest, axis=2)[:, :, 0]
    there = np.take_along_axis(points[1:], lowest, axis=2)[:, :, 0]
    touching = (here[..., 2] < CONTACT_HEIGHT) & (there[..., 2] < CONTACT_HEIGHT)
    speeds = np.linalg.norm((there - here)[..., :2], axis=-1)[touching] / dt
    return float(speeds.mean()) if len(speeds) else 0.0
