from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.rollouts.trajectory import record_episode, record_episodes
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout
from mocapact_cli.core.tasks.tracking import TrackingConfig

SNIPPET = Snippet("demo_reach", 5, 45)
PATIENT = TrackingConfig(min_steps=1, termination_error_threshold=1e9)


@pytest.fixture(scope="module")
def policy() -> ExpertPolicy:
    return ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(16,))


@pytest.fixture(scope="module")
def clip():
    return open_library().get("demo_reach")


def test_an_episode_begins_in_the_reference_and_runs_beside_it(policy, clip) -> None:
    seen = record_episode(policy, clip, SNIPPET, config=PATIENT)
    assert seen.end.length == 40
    assert seen.qpos.shape == seen.reference_qpos.shape == (40, 63)
    assert seen.rewards.sum() == pytest.approx(seen.end.episode_return)
    np.testing.assert_array_equal(seen.qpos[0], seen.reference_qpos[0])
    np.testing.assert_array_equal(seen.reference_qpos, clip.qpos()[5:45])
    # A policy that has learned nothing drifts away.
    assert np.abs(seen.qpos[-1] - seen.reference_qpos[-1]).max() > 0.05


def test_it_may_begin_later_and_end_early(policy, clip) -> None:
    strict = TrackingConfig(min_steps=1, termination_error_threshold=0.05)
    seen = record_episode(policy, clip, SNIPPET, start_step=20, config=strict)
    assert seen.end.early_termination
    assert len(seen.qpos) == len(seen.rewards) == seen.end.length < 25
    np.testing.assert_array_equal(seen.reference_qpos[0], clip.qpos()[20])


def test_noise_is_of_the_seed(policy, clip) -> None:
    one, same, other, none = (
        record_episode(policy, clip, SNIPPET, act_noise=noise, seed=seed, config=PATIENT)
        for noise, seed in ((0.1, 1), (0.1, 1), (0.1, 2), (0.0, 1))
    )
    np.testing.assert_array_equal(one.qpos, same.qpos)
    assert not np.array_equal(one.qpos, other.qpos)
    assert not np.array_equal(one.qpos, none.qpos)


def test_several_are_recorded_side_by_side_as_each_alone(policy, clip) -> None:
    pairs = [(clip, SNIPPET), (clip, Snippet("demo_reach", 0, 20))]
    together = record_episodes(policy, pairs, config=PATIENT, threads=1)
    assert [len(seen.qpos) for seen in together] == [40, 20]
    for seen, pair in zip(together, pairs, strict=True):
        alone = record_episode(policy, *pair, config=PATIENT)
        np.testing.assert_allclose(seen.qpos, alone.qpos, atol=1e-9)
        np.testing.assert_array_equal(seen.reference_qpos, alone.reference_qpos)
        assert seen.end.episode_return == pytest.approx(alone.end.episode_return)
