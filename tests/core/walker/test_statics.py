"""Actions that hold a pose: they must do so better than aiming at the pose."""

import mujoco
import numpy as np

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.walker import get_walker
from mocapact_cli.core.walker.statics import MAX_OFFSET, holding_actions


def sag(action, pose, seconds=0.3):
    """Mean joint error after the servos have held the body up for a while, soon enough that it has not yet tipped."""
    walker = get_walker()
    data = mujoco.MjData(walker.model)
    data.qpos[:] = pose
    data.ctrl[:] = data.act[:] = np.clip(action, -1.0, 1.0)
    mujoco.mj_step(walker.model, data, round(seconds / walker.model.opt.timestep))
    return np.abs(data.qpos[7:] - pose[7:]).mean()


def test_holding_sags_less_than_aiming():
    walker, pose = get_walker(), demo("demo_squat").qpos()[28]
    held = sag(holding_actions(walker, pose[None])[0], pose)
    aimed = sag(walker.pose_to_action(pose[7:]), pose)
    assert held < 0.6 * aimed


def test_offsets_are_limited_even_deep_in_the_floor():
    walker, pose = get_walker(), demo("demo_squat").qpos()[:1].copy()
    pose[:, 2] -= 0.5
    offset = holding_actions(walker, pose) - walker.pose_to_action(pose[:, 7:])
    assert np.isfinite(offset).all()
    assert np.abs(offset).max() <= MAX_OFFSET + 1e-12
