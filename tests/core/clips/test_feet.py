import mujoco
import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.feet import lowest_feet, skate_speed, sole_points
from mocapact_cli.core.walker import pose_features


def test_a_foot_touches_where_mujoco_finds_contact(walker):
    pose = demo("demo_squat").qpos()[:1]
    for height, touches in ((0.002, False), (-0.002, True)):
        moved = pose.copy()
        moved[0, 2] += height - lowest_feet(sole_points(walker, pose))[0]
        data = mujoco.MjData(walker.model)
        data.qpos[:] = moved[0]
        mujoco.mj_forward(walker.model, data)
        floor = [contact for contact in data.contact if walker.floor_geom in contact.geom and contact.dist < 0.0]
        assert bool(floor) == touches


def test_the_lowest_point_of_a_standing_body_is_in_its_feet(walker):
    qpos = demo("demo_step").qpos()
    np.testing.assert_allclose(
        lowest_feet(sole_points(walker, qpos)), pose_features(walker, qpos).lowest_point, atol=1e-9
    )


def test_skating_is_the_speed_of_the_standing_foot():
    points = np.zeros((10, 2, 7, 3))
    points[..., 0] = 0.03 * np.arange(10)[:, None, None]
    points[:, 1, :, 2] = 0.2
    assert skate_speed(points, 0.03) == pytest.approx(1.0)
    points[:, 1, :, 2], points[:, 1, :, 0] = 0.0, 0.0
    assert skate_speed(points, 0.03) == 0.0
    points[..., 2] = 0.2
    assert skate_speed(points, 0.03) == 0.0
