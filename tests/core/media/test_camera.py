import numpy as np
import pytest

from mocapact_cli.core.media.camera import beside, follow, heading

UPRIGHT = np.array([np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0])
"""Turns the root's z axis to world -y."""


def poses(xy):
    qpos = np.zeros((len(xy), 63))
    qpos[:, :2], qpos[:, 3:7] = xy, UPRIGHT
    return qpos


def test_a_travelling_motion_heads_along_its_path():
    assert heading(poses([[0, 0], [1, 1], [3, 3]])) == pytest.approx(np.pi / 4)


def test_a_motion_on_the_spot_heads_where_it_faces():
    assert heading(poses([[0, 0], [0.1, 0]])) == pytest.approx(-np.pi / 2)


def test_a_ghost_stands_to_the_left():
    x, y, z = beside(0.0)
    assert (x, z) == (pytest.approx(0), 0)
    assert y > 0.5


def test_the_camera_follows_without_shaking():
    rng = np.random.default_rng(0)
    path = np.column_stack([np.linspace(0, 3, 100), np.zeros(100)])
    shaking = path + rng.normal(scale=0.05, size=path.shape)
    times = np.linspace(0, 99 * 0.03, 150)
    lookats = np.array([camera.lookat for camera in follow(shaking, 0.0, 0.03, times)])
    assert len(lookats) == 150
    middle = slice(30, 120)
    assert np.abs(lookats[middle, 1]).max() < 0.03
    assert lookats[middle, 0] == pytest.approx(times[middle] / 0.03 * 3 / 99, abs=0.05)


def test_a_single_pose_has_a_camera():
    (camera,) = follow(np.array([[1.0, 2.0]]), 0.0, 0.03, np.array([0.0]), extra=0.5)
    assert camera.lookat[:2] == pytest.approx([1, 2])
    assert camera.distance == pytest.approx(4.0)
