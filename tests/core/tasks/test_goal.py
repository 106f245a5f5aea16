"""Tasks with a goal: what an episode draws, when goals change, what is measured, and how tasks are found by name."""

from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import EpisodeQueue
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.tasks.go_to_target import GoToTarget, GoToTargetSettings
from mocapact_cli.core.tasks.goal import GoalTask
from mocapact_cli.core.tasks.registry import TASKS, make_task, register_task, task_class, task_seen_in
from mocapact_cli.core.tasks.tracking import Start
from mocapact_cli.core.tasks.velocity_control import VelocityControl, VelocityControlSettings


@pytest.fixture(scope="module")
def pose():
    return demo("demo_squat")


def noise(num_envs, steps=40):
    return np.random.default_rng(3).uniform(-0.5, 0.5, (steps, num_envs, 56))


def observations(task, num_envs, threads, seed=7, steps=40):
    with TrackingBatch(task, num_envs=num_envs, observables=task.observables, threads=threads, seed=seed) as batch:
        rows = [batch.reset()]
        rows += [batch.step(actions).observations for actions in noise(num_envs, steps)]
    return np.array(rows)


@pytest.mark.parametrize("make", [GoToTarget, VelocityControl])
def test_results_do_not_depend_on_the_number_of_threads(pose, make):
    settings = make.Settings(max_steps=17)
    np.testing.assert_array_equal(observations(make(pose, settings), 5, 1), observations(make(pose, settings), 5, 3))


@pytest.mark.parametrize("make", [GoToTarget, VelocityControl])
def test_every_episode_draws_its_own(pose, make):
    first = observations(make(pose), 6, 2, steps=0)[0]
    assert len(np.unique(first, axis=0)) == 6
    assert not np.array_equal(first, observations(make(pose), 6, 2, seed=8, steps=0)[0])


def episode(task, seed, place, num_envs):
    """One episode's observations, somewhere among others."""
    starts = [Start(0, 0, seed if env == place else 1000 + env) for env in range(num_envs)]
    queue = EpisodeQueue([*starts, *starts])
    with TrackingBatch(task, num_envs=num_envs, observables=task.observables, threads=2, starts=queue) as batch:
        rows = [batch.reset()[place]]
        shared = (np.repeat(actions, num_envs, axis=0) for actions in noise(1, 15))
        rows += [batch.step(actions).observations[place] for actions in shared]
    return np.array(rows)


@pytest.mark.parametrize("make", [GoToTarget, VelocityControl])
def test_an_episode_depends_on_its_seed_alone(pose, make):
    task = make(pose)
    np.testing.assert_array_equal(episode(task, 11, 0, 1), episode(task, 11, 2, 4))


def test_an_arrow_points_to_a_target_that_is_far_away(pose):
    cursor = GoToTarget(pose).cursor(None, 1)
    cursor.target[0] = [4.0, 3.0, 0.0]
    spot, arrow = cursor.marks(0, np.array([0.0, 0.0, 1.1]))
    assert (spot.kind, arrow.kind) == ("spot", "arrow")
    assert spot.position == pytest.approx([4.0, 3.0, 0.0])
    assert arrow.position[:2] == pytest.approx([0.24, 0.18])
    assert arrow.extent == pytest.approx([0.8, 0.6, 0.0])
    assert [mark.kind for mark in cursor.marks(0, np.array([3.5, 3.0, 1.1]))] == ["spot"]


def test_targets_and_walkers_are_spread_over_the_middle_of_the_arena(pose):
    task = GoToTarget(pose, GoToTargetSettings(arena_size=(4.0, 8.0)))
    cursor = task.cursor(None, 1)
    places, targets = [], []
    for seed in range(400):
        qpos, _ = cursor.begin(0, Start(0, 0, seed))
        places.append(qpos[:2] - pose.qpos()[0, :2])
        targets.append(cursor.target[0].copy())
    for drawn in (np.array(places), np.array(targets)[:, :2]):
        assert (np.abs(drawn) <= [2.0, 4.0]).all()
        np.testing.assert_allclose(drawn.std(axis=0), np.array([2.0, 4.0]) / np.sqrt(3.0), rtol=0.1)
        np.testing.assert_allclose(drawn.mean(axis=0), 0.0, atol=0.3)
    assert not np.array(targets)[:, 2].any()


class _Walkers:
    """Features of walkers whose roots are given."""

    def __init__(self, roots):
        self.xpos = np.zeros((len(roots), 1, 3))
        self.xpos[:, 0, :2] = roots


def test_a_target_moves_after_ten_steps_near_it_and_not_before(pose):
    cursor = GoToTarget(pose).cursor(None, 2)
    cursor.begin(0, Start(0, 0, 1))
    cursor.begin(1, Start(0, 0, 2))
    first = cursor.target.copy()
    walkers = _Walkers([first[0, :2] + [0.0, 0.99], first[1, :2] + [0.0, 1.01]])
    for _ in range(10):
        cursor.update(walkers, 2)
        np.testing.assert_array_equal(cursor.target, first)
        np.testing.assert_array_equal(cursor.rewards(walkers, 2), [1.0, 0.0])
    cursor.update(walkers, 2)
    assert not np.array_equal(cursor.target[0], first[0])
    np.testing.assert_array_equal(cursor.target[1], first[1])
    assert cursor.measures(0) == {"targets_reached": 1.0, "seconds": pytest.approx(0.03)}
    assert cursor.measures(1) == {"targets_reached": 0.0, "seconds": 0.0}


def test_a_target_may_stay(pose):
    cursor = GoToTarget(pose, GoToTargetSettings(moving_target=False)).cursor(None, 1)
    cursor.begin(0, Start(0, 0, 1))
    first = cursor.target.copy()
    for _ in range(30):
        cursor.update(_Walkers(first[:, :2]), 1)
        assert cursor.rewards(_Walkers(first[:, :2]), 1)[0] == 1.0
    np.testing.assert_array_equal(cursor.target, first)
    assert cursor.measures(0)["targets_reached"] == 1.0


def test_what_came_of_going_to_targets(pose):
    episodes = [{"targets_reached": 2.0, "seconds": 6.0}, {"targets_reached": 0.0, "seconds": 0.0}]
    assert GoToTarget(pose).summarize(episodes) == {
        "success_rate": 0.5, "targets_reached": 1.0, "time_to_target_s": 3.0
    }  # fmt: skip
    assert GoToTarget(pose).summarize(episodes[1:])["time_to_target_s"] is None


class _Moving:
    def __init__(self, velocities):
        self.torso_linvel = np.array([[*velocity, 0.3] for velocity in velocities])
        self.qpos = np.zeros((len(velocities), 63))


def test_velocities_are_rewarded_by_speed_and_direction(pose):
    cursor = VelocityControl(pose, VelocityControlSettings(direction_exponent=7.0)).cursor(None, 4)
    cursor.speed[:], cursor.angle[:] = 2.0, np.pi / 2.0
    rewards = cursor.rewards(_Moving([(0.0, 2.0), (0.0, 1.25), (2.0, 0.0), (0.0, 0.0)]), 4)
    standing = np.exp(-((2.0 / 0.75) ** 2))
    np.testing.assert_allclose(rewards, [1.0, np.exp(-1.0), 0.5**7, standing], atol=1e-12)
    summary = VelocityControl(pose).summarize([cursor.measures(1), cursor.measures(2)])
    assert summary == {"speed_error": pytest.approx(0.375), "direction_error": pytest.approx(45.0)}


def test_tasks_are_found_by_the_names_of_ours_and_of_the_original(pose):
    assert task_class("go-to-target") is GoToTarget
    assert task_class("velocity_control") is VelocityControl
    assert make_task("velocity-control", pose, {"max_speed": 2}).settings.max_speed == 2.0


def test_a_misspelt_task_or_setting_names_the_right_one(pose):
    with pytest.raises(UsageError) as caught:
        task_class("go-to-targt")
    assert "go-to-target" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        make_task("velocity-control", pose, {"max_spede": 2.0})
    assert "max_speed" in caught.value.hint
    with pytest.raises(UsageError, match="max_steps"):
        make_task("velocity-control", pose, {"max_steps": 0})


def test_a_task_is_known_by_what_only_it_shows():
    assert task_seen_in(GoToTarget.observables) == "go-to-target"
    assert task_seen_in(VelocityControl.observables) == "velocity-control"
    assert task_seen_in(["walker/joints_pos"]) is None


def test_two_tasks_cannot_have_one_name(monkeypatch):
    monkeypatch.setattr("mocapact_cli.core.tasks.registry.TASKS", dict(TASKS))

    class Other(GoalTask):
        name = "go-to-target"

    with pytest.raises(UsageError, match="already"):
        register_task(Other)


def test_an_observable_of_a_task_is_unknown_to_others(pose):
    with pytest.raises(UsageError, match="walker/target"):
        TrackingBatch(VelocityControl(pose), num_envs=1, observables=["walker/target"])
