from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.errors import RunError
from mocapact_cli.core.rollouts.episodes import (
    PlannedEpisode,
    default_num_envs,
    open_batch,
    run_episodes,
    stream_ticks,
)
from mocapact_cli.core.sim.observables import TIME_INDEX
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig


class Still:
    """Acts with a constant, and notes which episodes it was asked about."""

    def __init__(self) -> None:
        self.asked: set[int] = set()

    def means(self, observations: np.ndarray, episodes: np.ndarray) -> np.ndarray:
        self.asked.update(episodes.tolist())
        return np.full((len(observations), 56), 0.1, dtype=np.float32)


class Notes:
    """Counts ticks and the rewards of every planned episode."""

    def __init__(self, episodes: int) -> None:
        self.returns, self.lengths = np.zeros(episodes), np.zeros(episodes, dtype=int)
        self.ended: list[int] = []

    def on_tick(self, tick) -> None:
        for episode, step, reward in zip(tick.episodes, tick.steps, tick.result.rewards, strict=True):
            if episode >= 0:
                assert step == self.lengths[episode]
                self.returns[episode] += reward
                self.lengths[episode] += 1

    def on_end(self, index: int, episode) -> None:
        self.ended.append(index)


PLAN = [PlannedEpisode(Start(index % 3, (0, 20, 0)[index % 3] + index), (index,)) for index in range(11)]


@pytest.mark.parametrize("num_envs", [1, 4, 7, 64])
def test_every_planned_episode_runs_once_from_its_start(pairs, num_envs: int) -> None:
    actor, notes = Still(), Notes(len(PLAN))
    with open_batch(pairs, PLAN, observables=TIME_INDEX, config=TrackingConfig(), num_envs=num_envs) as batch:
        ends = run_episodes(batch, PLAN, actor, listeners=[notes])
    assert [(end.snippet_index, end.start_step) for end in ends] == [
        (episode.start.snippet_index, episode.start.start_step) for episode in PLAN
    ]
    assert sorted(notes.ended) == list(range(len(PLAN)))
    assert [end.length for end in ends] == notes.lengths.tolist()
    np.testing.assert_allclose([end.episode_return for end in ends], notes.returns)
    assert set(range(len(PLAN))) <= actor.asked <= {-1, *range(len(PLAN))}


def test_ends_do_not_depend_on_the_number_of_environments_or_threads(pairs) -> None:
    def run(num_envs: int, threads: int) -> list[float]:
        config = TrackingConfig()
        with open_batch(
            pairs, PLAN, observables=TIME_INDEX, config=config, num_envs=num_envs, threads=threads
        ) as batch:
            return [end.episode_return for end in run_episodes(batch, PLAN, Still(), act_noise=0.1, seed=5)]

    assert run(3, 1) == run(11, 2)


def test_a_batch_runs_its_plan_again(pairs) -> None:
    with open_batch(pairs, PLAN, observables=TIME_INDEX, config=TrackingConfig(), num_envs=5) as batch:
        first, again = (run_episodes(batch, PLAN, Still(), act_noise=0.1) for _ in range(2))
        other = run_episodes(batch, PLAN, Still(), act_noise=0.1, seed=1)
    assert [end.episode_return for end in first] == [end.episode_return for end in again]
    assert [end.episode_return for end in first] != [end.episode_return for end in other]


def test_a_batch_with_another_plan_is_noticed(pairs) -> None:
    with (
        open_batch(pairs, PLAN, observables=TIME_INDEX, config=TrackingConfig(), num_envs=5) as batch,
        pytest.raises(RunError, match="another start"),
    ):
        run_episodes(batch, PLAN[::-1], Still())


def test_environments_suit_the_work() -> None:
    assert default_num_envs(3, threads=8) == 3
    assert default_num_envs(10_000, threads=2) == 64
    assert default_num_envs(10_000, threads=64) == 256


def test_episodes_taken_a_step_at_a_time_are_the_same(pairs) -> None:
    settings = {"observables": TIME_INDEX, "config": TrackingConfig(), "num_envs": 3}
    with open_batch(pairs, PLAN, **settings) as batch:
        whole = run_episodes(batch, PLAN, Still(), act_noise=0.1, seed=2)
        ends, ticks = {}, 0
        for tick, ended in stream_ticks(batch, PLAN, Still(), act_noise=0.1, seed=2):
            assert set(tick.result.done_envs) == {end.env for _, end in ended}
            ends.update(ended)
            ticks += 1
    assert [ends[index] for index in range(len(PLAN))] == whole
    assert ticks >= sum(end.length for end in whole) / 3
