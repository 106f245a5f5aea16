from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import EpisodeQueue
from mocapact_cli.core.sim.observables import TIME_INDEX
from mocapact_cli.core.tasks.balance import BALANCE, BalanceTask
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, get_walker

CLIP = demo("demo_walk")
OTHER = demo("demo_squat")
FREQUENCY = np.sqrt(9.81 / 0.95)
LENIENT = TrackingConfig(termination_error_threshold=10.0)


def batch(task: BalanceTask, starts: list[Start], observables=(BALANCE,)) -> TrackingBatch:
    queue = EpisodeQueue(starts)
    return TrackingBatch(task, num_envs=len(starts), observables=observables, threads=1, starts=queue)


def vectors(observations: np.ndarray) -> np.ndarray:
    """(n, 6, 3) in the root's frame."""
    return observations[:, -18:].reshape(len(observations), 6, 3)


def simulated(actions: np.ndarray, start: int) -> tuple[np.ndarray, ...]:
    """Centre of mass, its velocity, the root's rotation and both feet after the same steps, by MuJoCo alone."""
    walker = get_walker()
    data = mujoco.MjData(walker.model)
    data.qpos[:], data.qvel[:] = CLIP.qpos()[start], CLIP.qvel()[start]
    mujoco.mj_forward(walker.reset_model, data)
    for action in actions:
        data.ctrl[:] = action
        mujoco.mj_step2(walker.model, data)
        for _ in range(5):
            mujoco.mj_step(walker.model, data)
        mujoco.mj_forward(walker.model, data)
    mujoco.mj_subtreeVel(walker.model, data)
    root = walker.root_body
    feet = [data.body(f"walker/{side}foot").xpos for side in "rl"]
    return data.subtree_com[root], data.subtree_linvel[root], data.xmat[root].reshape(3, 3), np.array(feet)


def test_it_tells_where_the_centre_of_mass_is_and_is_heading() -> None:
    actions = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 56))
    task = BalanceTask([(CLIP, Snippet("demo_walk", 0, 60))], LENIENT)
    with batch(task, [Start(0, 10)]) as envs:
        envs.reset()
        for action in actions:
            seen = envs.step(action[None]).observations
    center, velocity, rotation, feet = simulated(actions, 10)
    wanted = CLIP.center_of_mass
    wanted_velocity = (wanted[15] - wanted[13]) / (2.0 * CONTROL_TIMESTEP)
    off, off_velocity = wanted[14] - center, wanted_velocity - velocity
    heading = center + velocity / FREQUENCY
    expected = [off, off_velocity, off + off_velocity / FREQUENCY, velocity, *(heading - feet)]
    np.testing.assert_allclose(vectors(seen)[0], np.array(expected) @ rotation, atol=1e-5)
    assert np.abs(off).max() > 1e-3


def test_an_episode_begins_where_the_reference_is() -> None:
    task = BalanceTask([(CLIP, Snippet("demo_walk", 0, 60))], LENIENT)
    with batch(task, [Start(0, 20), Start(0, 35)]) as envs:
        first = vectors(envs.reset())
    np.testing.assert_allclose(first[:, :3], 0.0, atol=1e-6)
    lengths = np.linalg.norm(first[:, 3], axis=1)
    moved = np.linalg.norm(np.gradient(CLIP.center_of_mass, CONTROL_TIMESTEP, axis=0)[[20, 35]], axis=1)
    np.testing.assert_allclose(lengths, moved, atol=1e-5)
    assert moved.min() > 0.04


def test_an_episode_that_follows_another_begins_there_too() -> None:
    task = BalanceTask([(CLIP, Snippet("demo_walk", 0, 60))], TrackingConfig(termination_error_threshold=0.05))
    queue = EpisodeQueue([Start(0, 10), Start(0, 30)])
    with TrackingBatch(task, num_envs=1, observables=(BALANCE,), threads=1, starts=queue) as envs:
        envs.reset()
        while not len((result := envs.step(np.full((1, 56), -1.0))).done_envs):
            pass
    np.testing.assert_allclose(vectors(result.observations)[0, :3], 0.0, atol=1e-6)
    assert np.abs(vectors(result.final_observations)[0, :3]).max() > 0.01


def test_each_clip_moves_by_itself() -> None:
    pairs = [(CLIP, Snippet("demo_walk", 0, 60)), (OTHER, Snippet("demo_squat", 0, 60))]
    both = BalanceTask(pairs, LENIENT)
    alone = [BalanceTask([pair], LENIENT).reference_velocities for pair in pairs]
    np.testing.assert_array_equal(both.reference_velocities, np.concatenate(alone))
    assert len(both.reference_velocities) == len(both.bank.points)


def test_it_stands_beside_the_usual_observables() -> None:
    task = BalanceTask([(CLIP, Snippet("demo_walk", 0, 60))], LENIENT)
    with batch(task, [Start(0, 10)], (*TIME_INDEX, BALANCE)) as envs:
        assert envs.obs_size == envs.layout.slices[BALANCE].stop
        assert envs.reset().shape == (1, envs.obs_size)


@pytest.mark.parametrize("failing", [0.3, 10.0])
def test_what_it_sees_changes_nothing_else(failing: float) -> None:
    config = TrackingConfig(termination_error_threshold=failing)
    pairs = [(CLIP, Snippet("demo_walk", 0, 60))]
    actions = np.random.default_rng(1).uniform(-1, 1, (30, 2, 56))
    rewards = []
    for tracked in (pairs, BalanceTask(pairs, config)):
        starts = EpisodeQueue([Start(0, 10), Start(0, 20), Start(0, 5), Start(0, 6)])
        with TrackingBatch(
            tracked, num_envs=2, observables=TIME_INDEX, threads=1, starts=starts, config=config
        ) as envs:
            envs.reset()
            rewards.append([envs.step(action).rewards for action in actions])
    np.testing.assert_array_equal(*rewards)
