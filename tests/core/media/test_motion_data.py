from __future__ import annotations

import base64

import mujoco
import numpy as np

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.media.motion_data import Motion, packed_motion, walker_shapes
from mocapact_cli.core.quaternions import quat_to_mat
from mocapact_cli.core.walker import get_walker


def unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<i2").reshape(-1, 32, 7)


def test_capsules_lie_where_the_geoms_are() -> None:
    walker, qpos = get_walker(), demo("demo_squat").qpos()[::10]
    motion = packed_motion(walker, Motion("a", "", qpos))
    frames, data = unpacked(motion["walker"]), mujoco.MjData(walker.model)
    for frame, pose in zip(frames, qpos, strict=True):
        data.qpos[:] = pose
        mujoco.mj_kinematics(walker.model, data)
        for geom, shape in enumerate(walker_shapes(walker), start=1):
            position, quaternion = frame[shape["body"], :3] * motion["scale"], frame[shape["body"], 3:] / 32767
            middle = (np.array(shape["a"]) + shape["b"]) / 2
            found = position + motion["origin"] + quat_to_mat(quaternion) @ middle
            np.testing.assert_allclose(found, data.geom_xpos[geom], atol=2e-3)


def test_the_ghost_begins_where_the_reference_is_known() -> None:
    qpos = demo("demo_squat").qpos()
    reference = qpos.copy()
    reference[:3] = np.nan
    motion = packed_motion(get_walker(), Motion("a", "", qpos, reference, [0.5, np.nan, 0.25]))
    assert (motion["ghostFrom"], motion["frames"], motion["rewards"]) == (3, len(qpos), [0.5, 0.25])
    np.testing.assert_array_equal(unpacked(motion["ghost"]), unpacked(motion["walker"])[3:])
    unknown = packed_motion(get_walker(), Motion("a", "", qpos, np.full_like(qpos, np.nan)))
    assert unknown["ghost"] is None


def test_motions_that_go_far_keep_their_shape() -> None:
    qpos = demo("demo_squat").qpos()
    qpos[:, 0] += np.linspace(0.0, 300.0, len(qpos))
    motion = packed_motion(get_walker(), Motion("a", "", qpos))
    root = unpacked(motion["walker"])[:, 0, 0] * motion["scale"] + motion["origin"][0]
    np.testing.assert_allclose(root, qpos[:, 0], atol=0.02)
