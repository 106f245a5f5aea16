from __future__ import annotations

import math

import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.evaluation.motion import Motion, MotionScorer
from mocapact_cli.core.evaluation.observers import MotionObserver, RewardsOverTime
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, open_batch, run_episodes
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig
from mocapact_cli.core.walker import pose_features


class Swaying:
    """Actions that depend on the episode and its step alone, and come to nothing from a step on."""

    def __init__(self, *, breaks_at: int | None = None) -> None:
        self.steps: dict[int, int] = {}
        self.chosen: dict[int, list[np.ndarray]] = {}
        self.breaks_at = breaks_at

    def means(self, observations: np.ndarray, episodes: np.ndarray) -> np.ndarray:
        actions = np.zeros((len(observations), 56), np.float32)
        for env, episode in enumerate(episodes.tolist()):
            step = self.steps[episode] = self.steps.get(episode, -1) + 1
            actions[env] = 0.2 * np.sin(0.4 * step + np.arange(56) + episode)
            if step == self.breaks_at:
                actions[env] = np.nan
            self.chosen.setdefault(episode, []).append(actions[env])
        return actions


class Reached:
    """Keeps what the batch says it came to."""

    def __init__(self, batch) -> None:
        self.batch, self.poses = batch, {}

    def on_tick(self, tick) -> None:
        reached = self.batch.reached()
        for env, episode in enumerate(tick.episodes.tolist()):
            kept = (reached.qpos[env], reached.qvel[env], reached.rows[env], tick.result.rewards[env])
            self.poses.setdefault(episode, []).append(kept)

    def on_end(self, index, episode) -> None:
        """Nothing."""


def play(pairs, plan, *, actor=None, num_envs=2, threshold=0.3):
    config = TrackingConfig(termination_error_threshold=threshold)
    actor = actor or Swaying()
    with open_batch(pairs, plan, observables=(), config=config, num_envs=num_envs) as batch:
        motion, reached, rewards = MotionObserver(batch, len(plan)), Reached(batch), RewardsOverTime(batch, plan)
        listeners = [motion, reached, *([rewards] if len(pairs) == 1 else [])]
        ends = run_episodes(batch, plan, actor, listeners=listeners)
    return batch, ends, motion.scores, reached.poses, rewards


def test_every_pose_of_an_episode_is_scored_up_to_its_last(pairs) -> None:
    plan = [PlannedEpisode(Start(index % 2, 3 * index), (index,)) for index in range(5)]
    actor = Swaying()
    batch, ends, scores, poses, _ = play(pairs, plan, actor=actor)
    scorer = MotionScorer(batch.walker, 0.03)
    assert any(end.early_termination for end in ends)
    for index, (end, found) in enumerate(zip(ends, scores, strict=True)):
        qpos, qvel = (np.array([row[part] for row in poses[index]]) for part in range(2))
        assert len(qpos) == end.length
        features = pose_features(batch.walker, qpos)
        clip = pairs[end.snippet_index][0]
        steps = end.start_step + 1 + np.arange(end.length)
        wanted = Motion.of(clip.qpos(), clip.qvel(), clip.body_positions, clip.body_quaternions)
        expected = scorer.score(
            Motion.of(qpos, qvel, features.body_positions, features.body_quaternions),
            Motion(**{name: values[steps] for name, values in vars(wanted).items()}),
            np.array(actor.chosen[index]),
        )
        assert vars(found) == pytest.approx(vars(expected), rel=1e-6, abs=1e-6, nan_ok=True)


def test_the_last_pose_is_the_one_at_which_the_episode_failed(pairs) -> None:
    plan = [PlannedEpisode(Start(0, 0), (0,)), PlannedEpisode(Start(0, 5), (1,)), PlannedEpisode(Start(1, 2), (2,))]
    for num_envs in (1, 3):
        batch, ends, _, poses, _ = play(pairs, plan, num_envs=num_envs, threshold=0.1)
        for index, end in enumerate(ends):
            clip = pairs[end.snippet_index][0]
            qpos = np.array([row[0] for row in poses[index]])
            steps = end.start_step + 1 + np.arange(end.length)
            bodies = np.abs(pose_features(batch.walker, qpos).body_positions - clip.body_positions[steps])
            joints = np.abs(qpos[:, 7:] - clip.joints[steps])
            over = 0.5 * bodies.mean(axis=(1, 2)) + 0.5 * joints.mean(axis=1) > 0.1
            assert over.tolist() == [False] * (end.length - 1) + [True]


def test_a_diverged_pose_does_not_count(pairs) -> None:
    plan = [PlannedEpisode(Start(0, 0), (0,)), PlannedEpisode(Start(0, 4), (1,))]
    _, ends, scores, _, _ = play(pairs, plan, actor=Swaying(breaks_at=6))
    assert all(end.diverged and end.length == 7 for end in ends)
    for found in scores:
        assert 0.0 < found.mpjpe_global_mm < 1000.0
    _, _, broken, _, _ = play(pairs, plan, actor=Swaying(breaks_at=0))
    assert math.isnan(broken[0].mpjpe_global_mm)


def test_rewards_are_averaged_by_clip_time() -> None:
    snippet = Snippet("demo_reach", 10, 40)
    plan = [PlannedEpisode(Start(0, 12 + 3 * index), (index,)) for index in range(4)]
    _, ends, _, poses, rewards = play([(demo("demo_reach"), snippet)], plan, threshold=1e9)
    curves = rewards.curves()
    assert len(curves.times) == 30
    np.testing.assert_allclose(curves.times[[0, -1]], [11 * 0.03, 40 * 0.03])
    total = sum(curves.means.values())
    assert np.isnan(total[:2]).all()
    for step in range(13, 41):
        seen = [poses[index][step - end.start_step - 1][3] for index, end in enumerate(ends) if end.start_step < step]
        assert total[step - 11] == pytest.approx(np.mean(seen))
    assert curves.deviations["termination"][2] == pytest.approx(0.0, abs=1e-6)
    assert curves.deviations["termination"][-1] > 0.0
