from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.evaluation.motion import (
    Motion,
    MotionScorer,
    MotionScores,
    f1_score,
    mean_jerk,
    mean_length,
    orientation_angles,
    procrustes_aligned,
)
from mocapact_cli.core.quaternions import about, quat_mul, quat_to_mat
from mocapact_cli.core.walker import get_walker

DT = 0.03
STEPS = 30


@pytest.fixture(scope="module")
def walk() -> Motion:
    clip = demo("demo_walk").slice(0, STEPS - 1)
    return Motion.of(clip.qpos(), clip.qvel(), clip.body_positions, clip.body_quaternions)


def moved(motion: Motion, offset: np.ndarray) -> Motion:
    """The same motion elsewhere: `offset` (T, 3) is added to every position."""
    positions = motion.body_positions + offset[:, None]
    return dataclasses.replace(motion, root=motion.root + offset, body_positions=positions)


def score(motion: Motion, reference: Motion, actions: np.ndarray | None = None) -> MotionScores:
    actions = np.zeros((len(motion.root), 56)) if actions is None else actions
    return MotionScorer(get_walker(), DT).score(motion, reference, actions)


def test_the_reference_itself_has_no_errors(walk) -> None:
    found = score(walk, walk)
    for name, value in vars(found).items():
        if "error" in name or "mpjpe" in name or "end_effector" in name:
            assert value == pytest.approx(0.0, abs=1e-6), name
    assert found.contact_agreement == found.contact_f1 == 1.0
    assert found.foot_skate_m_s == found.reference_foot_skate_m_s
    assert found.joint_jerk_rad_s3 == found.reference_joint_jerk_rad_s3 > 0.0


def test_a_constant_offset_is_a_global_error_alone(walk) -> None:
    found = score(moved(walk, np.tile([0.03, 0.0, 0.04], (STEPS, 1))), walk)
    assert found.mpjpe_global_mm == pytest.approx(50.0)
    assert found.end_effector_position_mm == pytest.approx(50.0)
    assert found.mpjpe_root_relative_mm == pytest.approx(0.0, abs=1e-9)
    assert found.mpjpe_procrustes_mm == pytest.approx(0.0, abs=1e-6)
    assert found.velocity_error_m_s == pytest.approx(0.0, abs=1e-9)
    assert found.end_effector_orientation_deg == pytest.approx(0.0, abs=1e-5)


def test_constant_velocity_and_acceleration_are_found_again(walk) -> None:
    times = DT * np.arange(STEPS)
    drifting = score(moved(walk, times[:, None] * [0.0, 0.5, 0.0]), walk)
    assert drifting.velocity_error_m_s == pytest.approx(0.5)
    assert drifting.acceleration_error_m_s2 == pytest.approx(0.0, abs=1e-8)
    falling = score(moved(walk, times[:, None] ** 2 * [0.0, 0.0, -4.9]), walk)
    assert falling.acceleration_error_m_s2 == pytest.approx(9.8)


def test_a_sinusoid_has_the_velocity_and_acceleration_of_calculus(walk) -> None:
    amplitude, omega, steps = 0.1, 2.0, 5000
    dt = math.pi / omega / steps
    sway = np.zeros((steps + 1, 2, 3))
    sway[..., 0] = amplitude * np.sin(omega * dt * np.arange(steps + 1))[:, None]
    # The mean of |cos| and of |sin| over half a period is 2/pi.
    assert mean_length(np.diff(sway, axis=0)) / dt == pytest.approx(amplitude * omega * 2 / math.pi, rel=1e-3)
    second = mean_length(np.diff(sway, 2, axis=0)) / dt**2
    assert second == pytest.approx(amplitude * omega**2 * 2 / math.pi, rel=1e-3)
    assert mean_jerk(sway[..., 0], dt) == pytest.approx(amplitude * omega**3 * 2 / math.pi, rel=1e-3)


def test_errors_of_joints_orientations_and_actions_are_in_their_units(walk) -> None:
    turn = about(2, np.full(1, math.radians(30.0)))
    turned = dataclasses.replace(
        walk,
        joints_velocity=walk.joints_velocity - 0.25,
        body_quaternions=-2.0 * quat_mul(walk.body_quaternions, turn),
    )
    actions = np.tile(np.linspace(-1.0, 1.0, STEPS)[:, None], (1, 56))
    found = score(turned, walk, actions)
    assert found.end_effector_orientation_deg == pytest.approx(30.0)
    assert found.joint_velocity_error_rad_s == pytest.approx(0.25)
    assert found.action_change == pytest.approx(2.0 / (STEPS - 1))


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5.0))
def test_a_pose_that_is_only_turned_moved_and_scaled_is_aligned_completely(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.standard_normal((4, 31, 3))
    rotations = quat_to_mat(rng.standard_normal((4, 4)))
    poses = scale * targets @ rotations + rng.standard_normal((4, 1, 3))
    np.testing.assert_allclose(procrustes_aligned(poses, targets), targets, atol=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_no_other_similarity_is_nearer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    poses, targets = rng.standard_normal((2, 1, 31, 3))
    aligned = procrustes_aligned(poses, targets)[0]
    best = np.sum((aligned - targets) ** 2)
    for _ in range(5):
        nudge = quat_to_mat(np.append(1.0, 0.05 * rng.standard_normal(3)))
        other = (1.0 + 0.05 * rng.standard_normal()) * aligned @ nudge + 0.05 * rng.standard_normal(3)
        assert np.sum((other - targets) ** 2) >= best


def test_a_mirrored_pose_is_not_turned_inside_out() -> None:
    targets = np.random.default_rng(0).standard_normal((3, 31, 3))
    aligned = procrustes_aligned(targets * [-1.0, 1.0, 1.0], targets)
    assert mean_length(aligned - targets) > 0.1
    centre = targets.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(procrustes_aligned(np.zeros((3, 31, 3)), targets), centre.repeat(31, axis=1))


def test_angles_go_up_to_half_a_turn() -> None:
    angles = np.radians([0.0, 10.0, 90.0, 180.0, 270.0])
    none = np.tile([1.0, 0.0, 0.0, 0.0], (5, 1))
    found = np.degrees(orientation_angles(about(0, angles), none))
    np.testing.assert_allclose(found, [0.0, 10.0, 90.0, 180.0, 90.0], atol=1e-5)


def test_lifted_feet_agree_with_nothing(walk) -> None:
    found = score(moved(walk, np.tile([0.0, 0.0, 1.0], (STEPS, 1))), walk)
    assert found.contact_f1 == 0.0
    assert found.contact_agreement < 0.5
    assert math.isnan(found.foot_skate_m_s)
    assert not math.isnan(found.reference_foot_skate_m_s)


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    found, wanted = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool)
    precision, recall = 1 / 3, 1 / 2
    assert f1_score(found, wanted) == pytest.approx(2 * precision * recall / (precision + recall))
    assert math.isnan(f1_score(found[3:], wanted[4:].repeat(2)))


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_short_episodes_have_what_they_can_have(walk, steps: int) -> None:
    short = Motion(**{name: values[:steps] for name, values in vars(walk).items()})
    found = score(short, short)
    assert math.isnan(found.mpjpe_global_mm) == (steps < 1)
    assert math.isnan(found.velocity_error_m_s) == (steps < 2)
    assert math.isnan(found.acceleration_error_m_s2) == (steps < 3)
    assert math.isnan(found.joint_jerk_rad_s3)
