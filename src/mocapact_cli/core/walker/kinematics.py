"""Forward kinematics of the walker over a sequence of poses."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from mocapact_cli.core.walker.model import FloatArray, Walker


@dataclass(frozen=True)
class PoseFeatures:
    """What dm_control's mocap data holds besides the pose, for T poses.

    Attributes:
        center_of_mass: (T, 3) metres, world frame.
        end_effectors: (T, 4, 3) right and left radius, right and left foot relative to the root, in its frame.
        appendages: (T, 5, 3) the end effectors and the head relative to the root, in its frame.
        body_positions: (T, 31, 3) metres, world frame.
        body_quaternions: (T, 31, 4) scalar first, world frame.
        lowest_point: (T,) height in metres of the lowest point of any colliding geom.
    """

    center_of_mass: FloatArray
    end_effectors: FloatArray
    appendages: FloatArray
    body_positions: FloatArray
    body_quaternions: FloatArray
    lowest_point: FloatArray


class BodyPoser:
    """Says where the bodies are in a pose.

    Args:
        walker: The model.
    """

    def __init__(self, walker: Walker) -> None:
        self._model, self._data = walker.model, mujoco.MjData(walker.model)
        self._bodies = np.array([walker.root_body, *walker.tracking_bodies])

    def __call__(self, qpos: FloatArray) -> FloatArray:
        """Return (32, 7) positions (metres) and unit quaternions (scalar first) of the root and the tracked bodies.

        Args:
            qpos: (63,) the pose.
        """
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        return np.concatenate([self._data.xpos[self._bodies], self._data.xquat[self._bodies]], axis=1)


def pose_features(walker: Walker, qpos: FloatArray) -> PoseFeatures:
    """Positions and orientations of the walker's parts in each pose.

    Args:
        qpos: (T, 63) root position, root quaternion (scalar first) and 56 joint angles in mocap order.
    """
    steps, bodies = len(qpos), walker.tracking_bodies
    data = mujoco.MjData(walker.model)
    out = PoseFeatures(
        np.empty((steps, 3)), np.empty((steps, 4, 3)), np.empty((steps, 5, 3)), np.empty((steps, len(bodies), 3)),
        np.empty((steps, len(bodies), 4)), np.empty(steps),
    )  # fmt: skip
    appendages = bodies[[*walker.end_effectors, walker.head]]
    for step, pose in enumerate(qpos):
        data.qpos[:] = pose
        mujoco.mj_kinematics(walker.model, data)
        mujoco.mj_comPos(walker.model, data)
        out.center_of_mass[step] = data.subtree_com[walker.frame_body]
        out.body_positions[step] = data.xpos[bodies]
        out.body_quaternions[step] = data.xquat[bodies]
        rotation = data.xmat[walker.root_body].reshape(3, 3)
        out.appendages[step] = (data.xpos[appendages] - data.xpos[walker.root_body]) @ rotation
        out.lowest_point[step] = _lowest_point(walker.model, data)
    out.end_effectors[:] = out.appendages[:, :4]
    return out


def _lowest_point(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """Lowest height over the walker's colliding spheres, capsules and ellipsoids."""
    solid = (model.geom_contype > 0) & (model.geom_bodyid > 0)
    kind, size, center = model.geom_type[solid], model.geom_size[solid], data.geom_xpos[solid]
    vertical = np.abs(data.geom_xmat[solid].reshape(-1, 3, 3)[:, 2])
    capsule = size[:, 0] + np.where(kind == mujoco.mjtGeom.mjGEOM_CAPSULE, size[:, 1] * vertical[:, 2], 0.0)
    ellipsoid = np.sqrt(np.sum((size * vertical) ** 2, axis=1))
    drop = np.where(kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID, ellipsoid, capsule)
    return float(np.min(center[:, 2] - drop))


def finite_difference_velocities(walker: Walker, qpos: FloatArray, dt: float) -> FloatArray:
    """(T, 62) velocities that carry each pose into the next one in `dt` seconds; the last one is repeated.

    Args:
        qpos: (T, 63), at least one pose.
    """
    velocities = np.zeros((len(qpos), walker.model.nv))
    for step in range(len(qpos) - 1):
        mujoco.mj_differentiatePos(walker.model, velocities[step], dt, qpos[step], qpos[step + 1])
    velocities[-1] = velocities[max(len(qpos) - 2, 0)]
    return velocities
