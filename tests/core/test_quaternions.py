import mujoco
import numpy as np
from dm_control.locomotion.tasks.reference_pose import rewards
from dm_control.utils import transformations as tr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

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


numbers = st.floats(-3, 3, allow_nan=False).map(lambda value: 0.0 if abs(value) < 1e-3 else value)
nonzero = arrays(np.float64, 4, elements=numbers).filter(lambda quat: np.linalg.norm(quat) > 1e-2)
units = nonzero.map(lambda quat: quat / np.linalg.norm(quat))
vectors = arrays(np.float64, 3, elements=numbers)


@given(nonzero, nonzero)
def test_product_conjugate_and_difference_are_dm_controls(one, other):
    np.testing.assert_allclose(quaternions.quat_mul(one, other), tr.quat_mul(one, other), atol=1e-12)
    np.testing.assert_array_equal(quaternions.quat_conj(one), tr.quat_conj(one))
    np.testing.assert_allclose(quaternions.quat_diff(one, other), tr.quat_diff(one, other), atol=1e-12)


@given(nonzero)
def test_matrix_is_dm_controls(quat):
    np.testing.assert_allclose(quaternions.quat_to_mat(quat), tr.quat_to_mat(quat)[:3, :3], atol=1e-12)


@given(units)
def test_rotation_vector_is_dm_controls(quat):
    np.testing.assert_allclose(quaternions.quat_to_axisangle(quat), tr.quat_to_axisangle(quat), atol=1e-9)


def test_no_rotation_is_the_zero_vector():
    np.testing.assert_array_equal(
        quaternions.quat_to_axisangle(np.array([[1.0, 0, 0, 0], [1.0 + 1e-15, 0, 0, 0]])), 0.0
    )


@given(units, units)
def test_bounded_distance_is_dm_controls(one, other):
    expected = np.ravel(rewards.bounded_quat_dist(one.copy(), other.copy()))
    np.testing.assert_allclose(quaternions.bounded_quat_dist(one[None], other[None]), expected, atol=1e-7)


@given(units, units)
def test_the_distance_ignores_signs_and_order(one, other):
    distance = quaternions.bounded_quat_dist(one, other)
    np.testing.assert_allclose(quaternions.bounded_quat_dist(-one, other), distance, atol=1e-7)
    np.testing.assert_allclose(quaternions.bounded_quat_dist(other, one), distance, atol=1e-7)
    assert 0.0 <= distance <= np.pi / 2


@given(units, units)
def test_the_difference_leads_from_one_to_the_other(one, other):
    np.testing.assert_allclose(quaternions.quat_mul(one, quaternions.quat_diff(one, other)), other, atol=1e-12)


@given(units, units, vectors)
def test_products_are_rotations_one_after_the_other(one, other, vector):
    both = quaternions.quat_to_mat(quaternions.quat_mul(one, other)) @ vector
    np.testing.assert_allclose(
        both, quaternions.quat_to_mat(one) @ (quaternions.quat_to_mat(other) @ vector), atol=1e-10
    )


def test_leading_dimensions_broadcast():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(5, 1, 4)), rng.normal(size=(3, 4))
    product = quaternions.quat_mul(one, other)
    assert product.shape == (5, 3, 4)
    np.testing.assert_allclose(product[2, 1], tr.quat_mul(one[2, 0], other[1]), atol=1e-12)
    assert quaternions.quat_to_mat(product).shape == (5, 3, 3, 3)
