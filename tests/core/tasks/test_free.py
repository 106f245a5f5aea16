from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import EpisodeQueue
from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.sim.observables import BASE
from mocapact_cli.core.tasks.free import FreeTask
from mocapact_cli.core.tasks.tracking import Start
from mocapact_cli.core.walker.model import get_walker

PAIRS = [(demo("demo_reach"), Snippet("demo_reach", 3, 6)), (demo("demo_squat"), Snippet("demo_squat", 0, 60))]


def run(task: FreeTask, starts: list[Start], actions=None):
    """Run episodes with the same actions at every step; returns their ends by snippet."""
    ends = {}
    queue = EpisodeQueue(starts)
    with TrackingBatch(task, num_envs=len(starts), observables=BASE, threads=1, starts=queue) as batch:
        batch.reset()
        while len(ends) < len(starts):
            result = batch.step(np.zeros((len(starts), 56)) if actions is None else actions)
            ends |= {end.env: (end, bool(result.terminated[end.env])) for end in result.episodes}
    return [ends[env] for env in range(len(starts))]


def test_an_episode_lasts_as_long_as_it_may_even_past_its_snippet() -> None:
    (end, failed), (other, _) = run(FreeTask(PAIRS, 9), [Start(0, 5), Start(1, 30)])
    assert (end.length, failed, end.early_termination) == (9, False, False)
    assert other.length == 9
    assert (end.norm_length, end.episode_return) == (1.0, 0.0)


def test_a_walker_that_falls_ends_its_episode_alone() -> None:
    holding = get_walker().pose_to_action(PAIRS[1][0].qpos()[0, 7:])
    actions = np.stack([np.full(56, -1.0), holding])
    (fallen, failed), (standing, fell_too) = run(FreeTask(PAIRS, 30), [Start(1, 0), Start(1, 0)], actions)
    assert failed
    assert fallen.early_termination
    assert 5 < fallen.length < standing.length == 30
    assert not fell_too


def test_a_fall_is_a_touch_of_the_floor_with_more_than_the_feet() -> None:
    walker = get_walker()
    data = mujoco.MjData(walker.model)
    data.qpos[:] = PAIRS[1][0].qpos()[0]
    data.qpos[2] -= 0.01
    mujoco.mj_forward(walker.model, data)
    assert data.ncon > 0
    assert not walker.has_fallen(data)
    data.qpos[2], data.qpos[3:7] = 0.05, [1.0, 0.0, 0.0, 0.0]
    mujoco.mj_forward(walker.model, data)
    assert walker.has_fallen(data)


def test_every_pose_of_a_snippet_is_a_start() -> None:
    starts, shares = FreeTask(PAIRS, 10).possible_starts()
    assert [start.start_step for start in starts if start.snippet_index == 0] == [3, 4, 5, 6]
    assert len(starts) == 4 + 61
    assert shares.sum() == pytest.approx(1.0)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="0 steps"):
        FreeTask(PAIRS, 0)
    with pytest.raises(InvalidInputError, match="outside its clip"):
        FreeTask([(demo("demo_squat"), Snippet("demo_squat", 0, 999))], 10)
