import numpy as np
import pytest

from mocapact_cli.core.sim.rewards import (
    CHANNEL_LIMITS,
    REWARDS,
    TrackingState,
    comic,
    multi_term_pose_reward,
    termination_reward,
)


@pytest.fixture
def on_the_clip(features_at, bank):
    return TrackingState.compare(features_at([10, 20, 30]), bank, np.array([10, 20, 30]), 0.3)


@pytest.fixture
def off_the_clip(features_at, bank):
    return TrackingState.compare(features_at([10, 20, 30]), bank, np.array([12, 24, 90]), 0.3)


def test_a_walker_on_its_reference_earns_everything(on_the_clip):
    np.testing.assert_allclose(on_the_clip.error, 0.0, atol=1e-9)
    parts = comic(on_the_clip)
    expected = {
        "termination": 0.5, "appendages": 0.075, "body_quaternions": 0.325, "center_of_mass": 0.05,
        "joints_velocity": 0.5,
    }  # fmt: skip
    assert set(parts) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(parts[name], value, atol=1e-6, err_msg=name)


def test_the_termination_error_is_half_bodies_and_half_joints(features_at, bank, clips):
    clip = clips["demo_walk"]
    state = TrackingState.compare(features_at([10]), bank, np.array([24]), 0.3)
    bodies = np.mean(np.abs(clip.body_positions[24] - clip.body_positions[10]))
    joints = np.mean(np.abs(clip.joints[24] - clip.joints[10]))
    assert state.error[0] == pytest.approx(0.5 * bodies + 0.5 * joints)
    assert termination_reward(state)["termination"][0] == pytest.approx(1 - state.error[0] / 0.3)


def test_comic_is_the_mean_of_the_other_two(off_the_clip):
    total = sum(comic(off_the_clip).values())
    others = sum(termination_reward(off_the_clip).values()) + sum(multi_term_pose_reward(off_the_clip).values())
    np.testing.assert_allclose(total, 0.5 * others)


@pytest.mark.parametrize("name", REWARDS)
def test_being_off_costs(on_the_clip, off_the_clip, name):
    best, worse = (sum(REWARDS[name](state).values()) for state in (on_the_clip, off_the_clip))
    assert (worse < best).all()


def test_the_kernels_are_those_of_the_paper(off_the_clip):
    parts = multi_term_pose_reward(off_the_clip)
    com = 0.1 * np.exp(-10.0 * np.sum(off_the_clip.com_error**2, axis=1))
    np.testing.assert_allclose(parts["center_of_mass"], com)
    joints = np.exp(-0.1 * np.sum(off_the_clip.motion_error[:, 69:] ** 2, axis=1))
    np.testing.assert_allclose(parts["joints_velocity"], joints)


@pytest.mark.parametrize("name", list(REWARDS))
def test_channels_reach_their_limits_where_the_walker_equals_the_reference(name, on_the_clip):
    channels = REWARDS[name](on_the_clip)
    assert set(channels) == set(CHANNEL_LIMITS[name])
    for channel, limit in CHANNEL_LIMITS[name].items():
        np.testing.assert_allclose(channels[channel], limit, rtol=1e-6)
