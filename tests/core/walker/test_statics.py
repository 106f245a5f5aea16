"""Actions that hold a pose: they must do so better than aiming at the pose."""

import mujoco
import numpy as np

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.walker import get_walker
from mocapact_cli.core.walker.statics import MAX_OFFSET, holding_actions


def sag(action, pose, seconds=0.4):
    """Mean joint error after the servos have pushed for a while, with the root held where it is."""
    walker = get_walker()
    data = mujoco.MjData(walker.model)
    data.qpos[:] = pose
    data.ctrl[:] = data.act[:] = np.clip(action, -1.0, 1.0)
    for _ in range(round(seconds / walker.model.opt.timestep)):
        mujoco.mj_step(walker.model, data)
        data.qpos[:7], data.qvel[:6] = pose[:7], 0.0
    return np.abs(data.qpos[7:] - pose[7:]).mean()


def test_holding_sags_less_than_aiming():
    walker, pose = get_walker(), demo("demo_squat").qpos()[40]
    held = sag(holding_actions(walker, pose[None])[0], pose)
    aimed = sag(walker.pose_to_action(pose[7:]), pose)
    assert held < 0.7 * aimed


def test_offsets_are_limited_even_deep_in_the_floor():
    walker, pose = get_walker(), demo("demo_squat").qpos()[:1].copy()
    pose[:, 2] -= 0.5
    offset = holding_actions(walker, pose) - walker.pose_to_action(pose[:, 7:])
    assert np.isfinite(offset).all()
    assert np.abs(offset).max() <= MAX_OFFSET + 1e-12
