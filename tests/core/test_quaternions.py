import mujoco
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core import quaternions

unit = (
    st.tuples(*[st.floats(-1, 1)] * 4)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: np.array(q) / np.linalg.norm(q))
)


@given(unit, unit)
def test_products_are_mujocos(a, b):
    expected = np.empty(4)
    mujoco.mju_mulQuat(expected, a, b)
    np.testing.assert_allclose(quaternions.quat_mul(a, b), expected, atol=1e-12)


@given(unit, st.floats(-3.0, 3.0), st.floats(0.0, 1.0))
def test_slerp_turns_at_constant_speed(start, angle, t):
    turn = quaternions.about(1, np.array([0.0, angle]))
    path = quaternions.quat_mul(np.broadcast_to(start, (2, 4)), turn)
    expected = quaternions.quat_mul(start, quaternions.about(1, np.array([angle * t]))[0])
    result = quaternions.slerp(quaternions.continuous(path), np.array([t]))[0]
    assert abs(result @ expected) > 1.0 - 1e-9
    np.testing.assert_allclose(np.linalg.norm(result), 1.0)


def test_continuous_signs_keep_the_rotations():
    turns = quaternions.about(2, np.linspace(0.0, 20.0, 200))
    flipped = turns * np.where(np.arange(200) % 7 < 3, 1.0, -1.0)[:, None]
    result = quaternions.continuous(flipped)
    assert (np.sum(result[1:] * result[:-1], axis=1) > 0.0).all()
    np.testing.assert_allclose(np.abs(np.sum(result * turns, axis=1)), 1.0)


def test_angles_between_neighbours():
    turns = quaternions.about(0, np.array([0.0, 0.5, 0.4]))
    np.testing.assert_allclose(quaternions.angles_between(turns), [0.5, 0.1], atol=1e-7)
