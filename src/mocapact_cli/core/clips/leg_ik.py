"""Inverse kinematics of the legs: feet on given spots, centre of mass above a given point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import mujoco
import numpy as np

from mocapact_cli.core.clips.clip import FloatArray
from mocapact_cli.core.errors import RunError

if TYPE_CHECKING:
    from mocapact_cli.core.walker import Walker

LEG_JOINTS = tuple(
    side + joint for side in "lr" for joint in ("femurrz", "femurry", "femurrx", "tibiarx", "footrz", "footrx")
)
_TOLERANCE = 1e-8
_MAX_ITERATIONS = 60
_MAX_UPDATE = 0.3


@dataclass(frozen=True, eq=False)
class Stance:
    """What the lower body must do over T poses.

    Attributes:
        ankles: (T, 2, 3) world positions of the left and the right ankle.
        foot_rotations: (T, 2, 3, 3) orientations of the foot bodies.
        center_of_mass: (T, 2) horizontal position.
    """

    ankles: FloatArray
    foot_rotations: FloatArray
    center_of_mass: FloatArray


class LegSolver:
    """Newton's method on 14 equations (two foot poses, the centre of mass) in 14 unknowns (root x and y, 12 joints)."""

    def __init__(self, walker: Walker) -> None:
        self._model, self._data = walker.model, mujoco.MjData(walker.model)
        self._frame = walker.frame_body
        self._feet = [mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_BODY, f"walker/{side}foot") for side in "lr"]
        joints = [walker.joint_names.index(name) for name in LEG_JOINTS]
        self._qpos = np.array([0, 1, *(7 + joint for joint in joints)])
        self._dofs = np.array([0, 1, *(6 + joint for joint in joints)])
        self._jacobian = np.zeros((3, self._model.nv))
        self._turn_jacobian = np.zeros((3, self._model.nv))

    def solve(self, guess: FloatArray, stance: Stance) -> FloatArray:
        """Complete a motion: everything but the root's x and y and the leg joints is kept.

        Args:
            guess: (T, 63) poses; the unknowns of the first one start the search, each next one starts from its
                predecessor's solution.

        Returns:
            (T, 63) poses.

        Raises:
            RunError: A foot cannot be reached.
        """
        result = guess.copy()
        for step in range(len(guess)):
            if step:
                result[step, self._qpos] = result[step - 1, self._qpos]
            self._solve_pose(result[step], stance, step)
        return result

    def _solve_pose(self, pose: FloatArray, stance: Stance, step: int) -> None:
        for _ in range(_MAX_ITERATIONS):
            residual, jacobian = self._linearize(pose, stance, step)
            if np.abs(residual).max() < _TOLERANCE:
                return
            update = np.linalg.lstsq(jacobian, residual, rcond=1e-6)[0]
            pose[self._qpos] += update * min(1.0, _MAX_UPDATE / np.abs(update).max())
        raise RunError(f"The legs cannot reach their targets at step {step}.")

    def _linearize(self, pose: FloatArray, stance: Stance, step: int) -> tuple[FloatArray, FloatArray]:
        model, data = self._model, self._data
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        residuals, rows = [], []
        for side, foot in enumerate(self._feet):
            mujoco.mj_jacBody(model, data, self._jacobian, self._turn_jacobian, foot)
            residuals += [
                stance.ankles[step, side] - data.xpos[foot],
                _rotation_vector(stance.foot_rotations[step, side] @ data.xmat[foot].reshape(3, 3).T),
            ]
            rows += [self._jacobian[:, self._dofs], self._turn_jacobian[:, self._dofs]]
        mujoco.mj_jacSubtreeCom(model, data, self._jacobian, self._frame)
        residuals.append(stance.center_of_mass[step] - data.subtree_com[self._frame, :2])
        rows.append(self._jacobian[:2, self._dofs])
        return np.concatenate(residuals), np.concatenate(rows)


def flat_foot(walker: Walker) -> tuple[FloatArray, FloatArray]:
    """How the feet stand flat on the floor when the walker faces +x and its toes are straight.

    Returns:
        (2, 3, 3) orientations of the left and right foot body; (2,) heights of the ankles above the floor.
    """
    from mocapact_cli.core.clips.feet import sole_points

    pose = np.zeros((1, walker.model.nq))
    pose[0, 3] = 1.0
    points = sole_points(walker, pose)[0]
    data = mujoco.MjData(walker.model)
    data.qpos[:] = pose[0]
    mujoco.mj_kinematics(walker.model, data)
    return _flatten(walker, data, points)


def _flatten(walker: Walker, data: mujoco.MjData, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    rotations, heights = np.empty((2, 3, 3)), np.empty(2)
    for side, name in enumerate("lr"):
        body = mujoco.mj_name2id(walker.model, mujoco.mjtObj.mjOBJ_BODY, f"walker/{name}foot")
        radius = float(walker.model.geom_size[walker.foot_geoms, 0].max())
        centers = points[side] + [0.0, 0.0, radius] - data.xpos[body]
        local = centers @ data.xmat[body].reshape(3, 3)
        heel, toes = local[local[:, 1].argmax()], local[local[:, 1].argmin()]
        forward = np.array([0.0, *(toes - heel)[1:]])
        forward /= np.linalg.norm(forward)
        left = np.array([1.0, 0.0, 0.0])
        up = np.cross(forward, left)
        # Columns of the foot's own axes (left, forward, up) go to the world's y, x and z.
        rotations[side] = np.array([forward, left, up])
        heights[side] = radius - float((local @ up).min())
    return rotations, heights


def _rotation_vector(rotation: FloatArray) -> FloatArray:
    quaternion, vector = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(rotation).ravel())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector
