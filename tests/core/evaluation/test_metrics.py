from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.envs.batch import EpisodeEnd
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.metrics import (
    POSE_OBSERVABLES,
    PoseErrors,
    ScoredEpisode,
    normalized_length,
    normalized_return,
    summarize,
    summarize_by_snippet,
)
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, open_batch, run_episodes
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig
from mocapact_cli.core.walker import get_walker, pose_features


def end(snippet: int = 0, *, norm_return: float = 0.5, failed: bool = False) -> EpisodeEnd:
    return EpisodeEnd(0, snippet, 3, 20, 12.0, 0.8, norm_return, failed, diverged=False)


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.floats(0, 100))
def test_a_whole_episode_is_worth_its_mean_reward(start: int, length: int, left: int, total: float) -> None:
    share = normalized_length(start, start + length, start + length + left)
    assert 0 < share <= 1
    assert (share == 1) == (left == 0)
    assert normalized_return(total, length, share) == pytest.approx(total / length * share)


def test_the_batch_scores_by_the_same_definitions(pairs) -> None:
    plan = [PlannedEpisode(Start(index, 4 * index), (index,)) for index in range(2)]
    with open_batch(pairs, plan, observables=("walker/joints_pos",), config=TrackingConfig()) as batch:
        ends = run_episodes(batch, plan, Constant(0.3))
    for found, (_, snippet) in zip(ends, pairs, strict=True):
        share = normalized_length(found.start_step, found.start_step + found.length, snippet.end_step)
        assert found.norm_length == pytest.approx(share)
        assert found.norm_return == pytest.approx(normalized_return(found.episode_return, found.length, share))


class Constant:
    def __init__(self, value: float) -> None:
        self.value = np.float32(value)

    def means(self, observations: np.ndarray, episodes: np.ndarray) -> np.ndarray:
        return np.full((len(observations), 56), self.value)


class Poses:
    """Adds up pose errors from the generalized positions, by forward kinematics of its own."""

    def __init__(self, batch, episodes: int) -> None:
        self.batch, self.sums, self.counts = batch, np.zeros((episodes, 2)), np.zeros(episodes)

    def on_tick(self, tick) -> None:
        poses, references = self.batch.poses()
        offsets = self._bodies(references) - self._bodies(poses)
        roots = (references - poses)[:, None, :3]
        pair = [np.linalg.norm(part, axis=-1).mean(axis=-1) for part in (offsets, offsets - roots)]
        # Where an episode has ended, the pose is already that of the next one.
        running = np.setdiff1d(np.flatnonzero(tick.episodes >= 0), tick.result.done_envs)
        self.sums[tick.episodes[running]] += np.stack(pair, axis=-1)[running]
        self.counts[tick.episodes[running]] += 1

    def _bodies(self, poses: np.ndarray) -> np.ndarray:
        return pose_features(get_walker(), poses).body_positions

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """Nothing."""


def test_pose_errors_equal_those_of_forward_kinematics(pairs) -> None:
    plan = [PlannedEpisode(Start(index % 2, 0), (index,)) for index in range(3)]
    config = TrackingConfig(termination_error_threshold=10.0)
    with open_batch(pairs, plan, observables=POSE_OBSERVABLES, config=config, num_envs=2) as batch:
        errors, poses = PoseErrors(batch, 3), Poses(batch, 3)
        ends = run_episodes(batch, plan, Constant(0.2), listeners=[errors, poses])
    lengths = np.array([found.length for found in ends])
    np.testing.assert_array_equal(errors._counts, lengths)
    assert (poses.counts == lengths - 1).all()
    assert (errors.means() > 0.01).all()
    # The last pose of an episode is in ours alone, so the means differ by its share.
    np.testing.assert_allclose(errors.means(), poses.sums / poses.counts[:, None], rtol=0.1)


def test_pose_errors_need_the_pose_of_now(pairs) -> None:
    plan = [PlannedEpisode(Start(0, 0), (0,))]
    config = TrackingConfig(ref_steps=(1, 2))
    with (
        open_batch(pairs, plan, observables=POSE_OBSERVABLES, config=config) as batch,
        pytest.raises(UsageError, match="reference step 0"),
    ):
        PoseErrors(batch, 1)


def test_summaries_have_the_keys_that_other_tools_rely_on() -> None:
    episodes = [ScoredEpisode(end(norm_return=value, failed=value < 0.5), 0.05, 0.04) for value in (0.4, 0.6)]
    summary = summarize(episodes)
    assert summary["episodes"] == 2
    assert summary["norm_return"] == {"mean": pytest.approx(0.5), "std": pytest.approx(0.1)}
    assert summary["early_termination_rate"] == 0.5
    assert summary["mpjpe_mm"]["global"]["mean"] == pytest.approx(50.0)
    assert set(summary) >= {"norm_length", "return", "length"}
    assert "mpjpe_mm" not in summarize([ScoredEpisode(end())])
    with pytest.raises(UsageError):
        summarize([])


def test_snippets_are_summarized_apart() -> None:
    episodes = [ScoredEpisode(end(snippet)) for snippet in (2, 0, 2)]
    rows = summarize_by_snippet(episodes, ["a-0-9", "b-0-9", "c-0-9"])
    assert [(row["snippet"], row["episodes"]) for row in rows] == [("a-0-9", 1), ("c-0-9", 2)]
