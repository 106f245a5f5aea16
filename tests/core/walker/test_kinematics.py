import mujoco
import numpy as np
import pytest

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.walker.kinematics import BodyPoser, finite_difference_velocities, pose_features
from mocapact_cli.core.walker.model import get_walker


@pytest.fixture(scope="module")
def qpos():
    return open_library().get("demo_walk").qpos()[::20]


def test_features_are_mujocos_kinematics(qpos):
    walker = get_walker()
    features = pose_features(walker, qpos)
    data = mujoco.MjData(walker.model)
    data.qpos[:] = qpos[3]
    mujoco.mj_forward(walker.model, data)
    np.testing.assert_allclose(features.body_positions[3], data.xpos[walker.tracking_bodies], atol=1e-12)
    np.testing.assert_allclose(features.body_quaternions[3], data.xquat[walker.tracking_bodies], atol=1e-12)
    np.testing.assert_allclose(features.center_of_mass[3], data.subtree_com[walker.frame_body], atol=1e-12)
    sensed = data.sensordata[walker.sensors["end_effectors_pos"]].reshape(4, 3)
    np.testing.assert_allclose(features.end_effectors[3], sensed, atol=1e-9)
    np.testing.assert_allclose(features.appendages[:, :4], features.end_effectors)


def test_egocentric_features_do_not_depend_on_where_the_walker_is(qpos):
    walker = get_walker()
    moved = qpos.copy()
    moved[:, :2] += [3.0, -2.0]
    turn = np.array([np.cos(0.4), 0.0, 0.0, np.sin(0.4)])
    for pose in moved:
        mujoco.mju_mulQuat(pose[3:7], turn, pose[3:7].copy())
    here, there = pose_features(walker, qpos), pose_features(walker, moved)
    np.testing.assert_allclose(here.appendages, there.appendages, atol=1e-9)
    np.testing.assert_allclose(here.lowest_point, there.lowest_point, atol=1e-9)


def test_the_lowest_point_moves_with_the_root_and_touches_where_contact_begins(qpos):
    walker = get_walker()
    pose = qpos[:1].copy()
    pose[0, 2] -= pose_features(walker, pose).lowest_point[0]
    data = mujoco.MjData(walker.model)

    def touches(height):
        data.qpos[:] = pose[0]
        data.qpos[2] += height
        mujoco.mj_forward(walker.model, data)
        floor = walker.floor_geom
        return any(floor in contact.geom and contact.dist < 0 for contact in data.contact)

    assert touches(-1e-4)
    assert not touches(1e-4)


def test_velocities_carry_each_pose_into_the_next(qpos):
    walker = get_walker()
    velocities = finite_difference_velocities(walker, qpos, 0.03)
    for step in range(len(qpos) - 1):
        pose = qpos[step].copy()
        mujoco.mj_integratePos(walker.model, pose, velocities[step], 0.03)
        np.testing.assert_allclose(np.delete(pose, range(3, 7)), np.delete(qpos[step + 1], range(3, 7)), atol=1e-9)
        assert abs(pose[3:7] @ qpos[step + 1, 3:7]) == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_array_equal(velocities[-1], velocities[-2])


def test_a_single_pose_stands_still(qpos):
    np.testing.assert_array_equal(finite_difference_velocities(get_walker(), qpos[:1], 0.03), 0.0)


def test_a_poser_says_where_the_root_and_the_bodies_are(qpos):
    walker = get_walker()
    features, poser = pose_features(walker, qpos), BodyPoser(walker)
    for step, pose in enumerate(qpos):
        bodies = poser(pose)
        np.testing.assert_allclose(bodies[1:, :3], features.body_positions[step], atol=1e-12)
        np.testing.assert_allclose(bodies[1:, 3:], features.body_quaternions[step], atol=1e-12)
        np.testing.assert_allclose(bodies[0, :3], pose[:3], atol=1e-12)
        np.testing.assert_allclose(bodies[0, 3:], pose[3:7] / np.linalg.norm(pose[3:7]), atol=1e-9)
