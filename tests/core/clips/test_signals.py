import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.clips import signals


def rotation(angles):
    z, y, x = angles

    def about(axis, angle):
        c, s = np.cos(angle), np.sin(angle)
        matrix = np.eye(3)
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        matrix[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
        return matrix

    return about(2, z) @ about(1, y) @ about(0, x)


angle = st.floats(-7.0, 7.0)


@given(st.tuples(angle, angle, angle))
def test_every_euler_branch_is_the_same_rotation(angles):
    branches = signals.euler_branches(np.array([[angles]]))
    assert branches.shape == (1, 4, 1, 3)
    for branch in branches[0, :, 0]:
        np.testing.assert_allclose(rotation(branch), rotation(angles), atol=1e-9)


def test_turns_are_the_same_angle():
    branches = signals.turn_branches(np.array([[0.5], [4.0]]))
    np.testing.assert_allclose(branches[:, :, 0, 0], [[0.5, 0.5 - 2 * np.pi], [4.0 - 2 * np.pi, 4.0]])


def test_a_branch_inside_the_limits_is_found():
    true = np.array([[[0.3, 0.2, -0.1]]])
    folded = np.stack([true[..., 0] + np.pi, np.pi - true[..., 1], true[..., 2] + np.pi], axis=-1)
    limits = np.full((1, 3), 1.0)
    chosen = signals.choose_branches(signals.euler_branches(folded), -limits, limits)
    np.testing.assert_allclose(chosen, true, atol=1e-12)


def test_a_path_past_half_a_turn_does_not_jump_between_the_limits():
    angles = np.linspace(2.8, 3.5, 30)[:, None]
    wrapped = np.angle(np.exp(1j * angles))
    limits = np.array([[1.0]])
    chosen = signals.choose_branches(signals.turn_branches(wrapped), -limits, limits)
    assert len(np.unique(np.clip(chosen, -1.0, 1.0))) == 1


def test_a_short_violation_is_not_worth_a_switch():
    candidates = np.full((20, 2, 1, 1), 0.95)
    candidates[:, 1] = -1.05
    candidates[10, 0] = 1.2
    limits = np.array([[1.0]])
    chosen = signals.choose_branches(candidates, -limits, limits)[:, 0, 0]
    assert chosen[10] == 1.2
    assert (np.delete(chosen, 10) == 0.95).all()


@pytest.mark.parametrize("spike", [(50, 51), (50, 54), (0, 2), (98, 100)])
def test_a_spike_is_bridged(spike):
    values = np.linspace(0.0, 1.0, 100)[:, None]
    dirty = values.copy()
    dirty[slice(*spike)] += 3.0
    replaced = signals.bridge(dirty, np.abs(np.diff(dirty, axis=0))[:, 0] > 0.2, 0.2)
    clean = signals.interpolate(dirty, replaced)
    assert np.abs(np.diff(clean, axis=0)).max() <= 0.2 + 1e-12
    inside = slice(20, 80)
    np.testing.assert_allclose(clean[inside], values[inside], atol=1e-12)


def test_a_lasting_jump_becomes_a_ramp_of_the_allowed_slope():
    values = np.repeat([0.0, 1.0], 50)[:, None]
    replaced = signals.bridge(values, np.abs(np.diff(values, axis=0))[:, 0] > 0.1, 0.1)
    ramp = signals.interpolate(values, replaced)
    assert np.abs(np.diff(ramp, axis=0)).max() <= 0.1 + 1e-12
    assert 8 <= replaced.sum() <= 12


def test_smoothing_keeps_lines_and_halves_the_power_at_its_cutoff():
    line = np.linspace(-1.0, 2.0, 50)[:, None]
    np.testing.assert_allclose(signals.smooth(line, 2.0), line, atol=1e-12)
    frames = np.arange(2000)
    sigma = 3.0
    cutoff = np.sqrt(np.log(2.0)) / (2 * np.pi * sigma)
    wave = np.sin(2 * np.pi * cutoff * frames)[:, None]
    middle = slice(200, -200)
    power = np.mean(signals.smooth(wave, sigma)[middle] ** 2) / np.mean(wave[middle] ** 2)
    assert power == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_smoothing_works_on_the_shortest_signals(count):
    values = np.arange(float(count))[:, None]
    np.testing.assert_allclose(signals.smooth(values, 2.0), values, atol=1e-12)


def test_resampling_is_exact_on_lines_and_close_on_curves():
    values = np.stack([np.arange(40.0), np.sin(np.arange(40.0) / 5.0)], axis=1)
    frames = np.linspace(0.0, 39.0, 57)
    result = signals.resample(values, frames)
    np.testing.assert_allclose(result[:, 0], frames, atol=1e-12)
    np.testing.assert_allclose(result[2:-2, 1], np.sin(frames / 5.0)[2:-2], atol=2e-4)
