import mujoco
import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.feet import Soles, lowest_feet, skate_speed, sole_points, touching
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


def test_soles_from_bodies_are_those_of_forward_kinematics(walker):
    qpos = demo("demo_walk").qpos()[::7]
    features = pose_features(walker, qpos)
    found = Soles(walker).points(features.body_positions, features.body_quaternions)
    np.testing.assert_allclose(found, sole_points(walker, qpos), atol=1e-9)


def test_a_foot_touches_while_it_is_low_in_both_poses():
    points = np.zeros((4, 2, 7, 3))
    points[..., 2] = 0.1
    points[1:3, 0, 3, 2] = 0.02
    points[:, 1, 0, 2] = 0.04
    np.testing.assert_array_equal(touching(points), [[False, False], [True, False], [False, False]])
