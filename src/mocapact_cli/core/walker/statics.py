"""Actions that hold a pose against gravity."""

from __future__ import annotations

import mujoco
import numpy as np

from mocapact_cli.core.walker.model import FloatArray, Walker

MAX_OFFSET = 0.3
"""Largest difference, in actions, between holding a pose and aiming at it; poses in collision would ask for more."""
_SEARCH = (-0.04, 0.02)
"""Metres around the pose's height in which the floor comes to carry the weight."""
_HALVINGS = 14


def holding_actions(walker: Walker, qpos: FloatArray) -> FloatArray:
    """Position targets that hold poses still, by inverse dynamics.

    Aiming at the pose itself lets it sag: a position servo only pushes where there is an error. The pose is first
    lowered or lifted until the floor carries the weight, then the joint torques that keep it at rest are turned into
    targets. The root, which no actuator moves, is left to balance.

    Args:
        qpos: (T, 63) poses.

    Returns:
        (T, 56) actions in actuator order, not limited to [-1, 1].
    """
    data = mujoco.MjData(walker.model)
    aims = walker.pose_to_action(qpos[:, 7:])
    offsets = np.array([_holding_offset(walker, data, pose) for pose in qpos])
    return np.asarray(aims + np.clip(offsets, -MAX_OFFSET, MAX_OFFSET))


def _holding_offset(walker: Walker, data: mujoco.MjData, pose: FloatArray) -> FloatArray:
    """(56,) torques at rest as a share of each actuator's stiffness, in units of actions."""
    low, high = _SEARCH
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if _root_lift(walker, data, pose, middle) > 0.0:
            high = middle
        else:
            low = middle
    _root_lift(walker, data, pose, (low + high) / 2.0)
    torque = data.qfrc_inverse[6:][walker.actuator_joint]
    return np.asarray(torque / walker.model.actuator_gainprm[:, 0])


def _root_lift(walker: Walker, data: mujoco.MjData, pose: FloatArray, height: float) -> float:
    """Upward force in newtons that the root would need besides the floor's."""
    data.qpos[:], data.qvel[:], data.qacc[:] = pose, 0.0, 0.0
    data.qpos[2] += height
    mujoco.mj_inverse(walker.model, data)
    return float(data.qfrc_inverse[2])
