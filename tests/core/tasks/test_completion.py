from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import EpisodeQueue
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.sim.observables import ObservableLayout
from mocapact_cli.core.tasks.completion import CompletionTask
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig, TrackingTask
from mocapact_cli.core.walker.model import get_walker

CLIP = demo("demo_squat")
SNIPPET = Snippet("demo_squat", 0, 12)
SEEN = ("walker/time_in_clip", "walker/reference_rel_joints", "walker/joints_pos")
HOLDING = get_walker().pose_to_action(CLIP.qpos()[0, 7:])
COLLAPSING = np.full(56, -1.0)


def task(threshold: float = 0.3, **lengths: int) -> CompletionTask:
    config = TrackingConfig(ref_steps=(1, 5), termination_error_threshold=threshold)
    return CompletionTask([(CLIP, SNIPPET)], config, **({"prompt_length": 8, "max_steps": 20} | lengths))


def run(of: TrackingTask, actions, starts: int = 1):
    """Run one episode; returns its end, the rewards and observations of its steps and the reference's last pose."""
    queue = EpisodeQueue([Start(0, 0)] * starts)
    with TrackingBatch(of, num_envs=starts, observables=SEEN, threads=1, starts=queue) as batch:
        seen, rewards, ends = [batch.reset()], [], {}
        while len(ends) < starts:
            result = batch.step(np.broadcast_to(actions, (starts, 56)))
            seen.append(result.final_observations if result.episodes else result.observations)
            rewards.append(result.rewards)
            ends |= {end.env: end for end in result.episodes}
        return ends[0], np.array(rewards), np.stack(seen)[:, 0], batch.poses()[1][0]


def test_an_episode_goes_on_beyond_the_snippet_which_alone_is_rewarded() -> None:
    end, rewards, _, _ = run(task(), HOLDING)
    assert (end.length, end.early_termination, end.norm_length) == (12 + 20, False, 1.0)
    assert (rewards[:12] > 0).all()
    assert (rewards[12:] == 0).all()
    assert end.norm_return == pytest.approx(rewards.sum() / 12)
    tracked, expected, _, _ = run(TrackingTask([(CLIP, SNIPPET)], TrackingConfig(min_steps=1)), HOLDING)
    np.testing.assert_array_equal(rewards[:12], expected)
    assert end.norm_return == pytest.approx(tracked.norm_return)


def test_the_reference_stands_still_in_the_snippets_last_pose_and_so_does_time() -> None:
    _, _, seen, pose = run(task(), HOLDING)
    columns = ObservableLayout(SEEN, (1, 5)).split(seen)
    np.testing.assert_array_equal(pose, CLIP.qpos()[12])
    assert columns["walker/time_in_clip"][12:].max() == columns["walker/time_in_clip"][-1] == 1.0
    near, far = np.split(columns["walker/reference_rel_joints"], 2, axis=1)
    assert (near[3] != far[3]).any()
    # The clip goes on after the snippet, and its later poses are not to be seen.
    np.testing.assert_array_equal(near[11:], far[11:])


def test_a_held_reference_stands_still_from_the_prompts_end_and_errors_are_measured_as_ever() -> None:
    end, rewards, seen, _ = run(task(), HOLDING)
    holding = CompletionTask([(CLIP, SNIPPET)], task().config, prompt_length=8, max_steps=20, holds_reference=True)
    held_end, held_rewards, held, _ = run(holding, HOLDING)
    np.testing.assert_array_equal(held_rewards, rewards)
    assert held_end.norm_return == end.norm_return
    free, still = (ObservableLayout(SEEN, (1, 5)).split(part) for part in (seen, held))
    np.testing.assert_array_equal(still["walker/joints_pos"], free["walker/joints_pos"])
    name, time = "walker/reference_rel_joints", "walker/time_in_clip"
    np.testing.assert_array_equal(still[time][:9], free[time][:9])
    np.testing.assert_allclose(still[time][8:], 8 / 12, atol=1e-6)
    # Up to the prompt's end nothing is told of what comes after it, whoever looks ahead.
    np.testing.assert_array_equal(still[name][:4], free[name][:4])
    angles = still[name] + np.tile(still["walker/joints_pos"], 2)
    np.testing.assert_allclose(angles[8:], np.tile(angles[7, :56], (len(angles) - 8, 2)), atol=1e-5)


def test_a_fall_fails_only_where_the_error_is_large_too() -> None:
    fallen, _, _, _ = run(task(), COLLAPSING)
    assert fallen.early_termination
    assert fallen.length < 32
    lying, _, _, _ = run(task(threshold=9.0), COLLAPSING)
    assert (lying.early_termination, lying.length) == (False, 32)
    upright, _, _, _ = run(task(threshold=1e-6), HOLDING)
    assert (upright.early_termination, upright.length) == (False, 32)


def test_prompts_lie_inside_the_snippet() -> None:
    starts, _ = task().possible_starts()
    assert [start.start_step for start in starts] == [0, 1, 2, 3, 4]
    assert task(prompt_length=12).num_starts(0) == 1
    with pytest.raises(UsageError, match="13 steps is longer than demo_squat-0-12, which has 12"):
        task(prompt_length=13)
    with pytest.raises(UsageError, match="at least one step"):
        task(max_steps=0)


def test_a_walker_that_diverges_has_failed() -> None:
    end, rewards, _, _ = run(task(), np.full(56, np.nan))
    assert (end.diverged, end.early_termination, end.length) == (True, True, 1)
    assert end.norm_return == rewards.sum() == 0.0
