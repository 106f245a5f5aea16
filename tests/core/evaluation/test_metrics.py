from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from mocapact_cli.core.envs.batch import EpisodeEnd
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.metrics import (
    ScoredEpisode,
    summarize,
    summarize_by_snippet,
)
from mocapact_cli.core.evaluation.motion import MotionScores
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, open_batch, run_episodes
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig


def end(snippet: int = 0, *, norm_return: float = 0.5, failed: bool = False) -> EpisodeEnd:
    return EpisodeEnd(0, snippet, 3, 20, 12.0, 0.8, norm_return, failed, diverged=False)


def test_the_batch_scores_by_the_published_definitions(pairs) -> None:
    plan = [PlannedEpisode(Start(index, 4 * index), (index,)) for index in range(2)]
    with open_batch(pairs, plan, observables=("walker/joints_pos",), config=TrackingConfig()) as batch:
        ends = run_episodes(batch, plan, Constant(0.3))
    for found, (_, snippet) in zip(ends, pairs, strict=True):
        share = found.length / (snippet.end_step - found.start_step)
        assert found.norm_length == pytest.approx(share)
        assert found.norm_return == pytest.approx(found.episode_return / found.length * share)


class Constant:
    def __init__(self, value: float) -> None:
        self.value = np.float32(value)

    def means(self, observations: np.ndarray, episodes: np.ndarray) -> np.ndarray:
        return np.full((len(observations), 56), self.value)


def scores(value: float) -> MotionScores:
    return MotionScores(**{field.name: value for field in dataclasses.fields(MotionScores)})


def test_summaries_have_the_keys_that_other_tools_rely_on() -> None:
    episodes = [ScoredEpisode(end(norm_return=value, failed=value < 0.5), scores(100 * value)) for value in (0.4, 0.6)]
    summary = summarize(episodes)
    assert summary["episodes"] == 2
    assert summary["norm_return"] == {"mean": pytest.approx(0.5), "std": pytest.approx(0.1)}
    assert summary["early_termination_rate"] == summary["success_rate"] == 0.5
    assert set(summary["mpjpe_mm"]) == {"global", "root_relative", "procrustes"}
    assert summary["mpjpe_mm"]["global"] == {"mean": pytest.approx(50.0), "std": pytest.approx(10.0)}
    assert set(summary) >= {"norm_length", "return", "length", "acceleration_error_m_s2", "foot_skate_m_s"}
    assert "mpjpe_mm" not in summarize([ScoredEpisode(end())])
    with pytest.raises(UsageError):
        summarize([])


def test_what_an_episode_cannot_tell_does_not_count() -> None:
    episodes = [ScoredEpisode(end(), scores(value)) for value in (math.nan, 3.0)]
    assert summarize(episodes)["contact_f1"] == {"mean": 3.0, "std": 0.0}
    assert math.isnan(summarize(episodes[:1])["contact_f1"]["mean"])


def test_snippets_are_summarized_apart() -> None:
    episodes = [ScoredEpisode(end(snippet)) for snippet in (2, 0, 2)]
    rows = summarize_by_snippet(episodes, ["a-0-9", "b-0-9", "c-0-9"])
    assert [(row["snippet"], row["episodes"]) for row in rows] == [("a-0-9", 1), ("c-0-9", 2)]
