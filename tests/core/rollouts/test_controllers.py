from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.rollouts.controllers import BASELINES, PoseActor, RandomActor, make_baseline
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, open_batch, run_episodes
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig
from mocapact_cli.core.walker import get_walker

PLAN = [PlannedEpisode(Start(index % 3, 22 if index % 3 == 1 else 2 * index), (index,)) for index in range(6)]


def lengths(name: str, pairs, num_envs: int = 3, seed: int = 0) -> list[tuple[int, float]]:
    with open_batch(pairs, PLAN, observables=(), config=TrackingConfig(), num_envs=num_envs) as batch:
        ends = run_episodes(batch, PLAN, make_baseline(name, batch, PLAN, seed))
    return [(end.length, end.episode_return) for end in ends]


@pytest.mark.parametrize("name", BASELINES)
def test_episodes_do_not_depend_on_the_number_of_environments(pairs, name: str) -> None:
    assert lengths(name, pairs, 1) == lengths(name, pairs, 4)


def test_aiming_at_the_reference_is_better_than_not_to(pairs) -> None:
    total = {name: sum(value for _, value in lengths(name, pairs)) for name in BASELINES}
    assert total["pd-gravity"] > total["pd"] > total["zero"] > total["random"]


def test_random_actions_fill_the_range_and_follow_the_seed(pairs) -> None:
    episodes = np.array([2, -1, 0])
    one, other = (RandomActor(PLAN, seed) for seed in (0, 1))
    first = one.means(np.zeros((3, 0), np.float32), episodes)
    assert (first[1] == 0).all()
    assert np.abs(first).max() <= 1.0
    assert first[0].min() < -0.8
    assert first[0].max() > 0.8
    assert not np.array_equal(first[0], first[2])
    assert not np.array_equal(first, one.means(np.zeros((3, 0), np.float32), episodes))
    assert not np.array_equal(first, other.means(np.zeros((3, 0), np.float32), episodes))
    again = RandomActor(PLAN, 0).means(np.zeros((1, 0), np.float32), np.array([2]))
    np.testing.assert_array_equal(again[0], first[0])


def test_the_pd_controller_aims_at_the_next_pose(pairs) -> None:
    with open_batch(pairs, PLAN, observables=(), config=TrackingConfig(), num_envs=2) as batch:
        actor = PoseActor(batch)
        batch.reset()
        aims = actor.means(np.zeros((2, 0), np.float32), np.array([0, 1]))
    for aim, (clip, _), step in zip(aims, pairs, (1, 23), strict=False):
        expected = np.clip(get_walker().pose_to_action(clip.joints[step]), -1.0, 1.0)
        np.testing.assert_allclose(aim, expected, atol=1e-6)


def test_other_names_are_refused(pairs) -> None:
    with (
        open_batch(pairs, PLAN, observables=(), config=TrackingConfig()) as batch,
        pytest.raises(UsageError, match="pid") as refused,
    ):
        make_baseline("pid", batch, PLAN, 0)
    assert refused.value.hint == "Did you mean pd?"
