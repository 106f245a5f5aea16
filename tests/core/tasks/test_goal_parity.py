"""Equal to dm_control's own task: the same places and the same actions give the same everything."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pytest

from mocapact_cli.core.bench.composer_goal import composer_go_to_target
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import EpisodeQueue
from mocapact_cli.core.tasks.go_to_target import GoToTarget, GoToTargetSettings
from mocapact_cli.core.tasks.tracking import Start
from mocapact_cli.core.tasks.velocity_control import VelocityControl, VelocityControlSettings
from mocapact_cli.core.walker.model import get_walker

STEPS = 220
TORSO = ("walker/torso_xvel", "walker/torso_yvel")


class Given:
    """A variation of dm_control's that gives places in turn."""

    def __init__(self, places):
        self.places = list(places)

    def __call__(self, initial_value=None, current_value=None, random_state=None):
        return self.places.pop(0)


@pytest.fixture(scope="module")
def pose():
    return demo("demo_squat")


class Balance:
    """Stands: aims at the first pose, leans on the toes against the way the body tips, and trembles a little."""

    def __init__(self, pose):
        walker = get_walker()
        self.rng = np.random.default_rng(0)
        self.aim = np.clip(walker.pose_to_action(pose.qpos()[0, 7:]), -1.0, 1.0)
        self.ankles = [walker.actuator_names.index(name) for name in ("lfootrx", "rfootrx")]
        self.feet = walker.end_effectors[2:] + 1
        self.rest = None

    def __call__(self, features):
        forward = features.root_xmat[0].reshape(3, 3)[:2, 2]
        lean = (features.com[0, :2] - features.xpos[0, self.feet, :2].mean(0)) @ forward
        self.rest = lean if self.rest is None else self.rest
        action = self.aim + 0.02 * self.rng.standard_normal(56)
        action[self.ankles] += 12.0 * (lean - self.rest) + features.qvel[0, :2] @ forward
        return np.clip(action, -1.0, 1.0)


def open_batch(task, observables, seed=5):
    queue = EpisodeQueue([Start(0, 0, seed)] * 2)
    return TrackingBatch(task, num_envs=1, observables=observables, threads=1, starts=queue)


@dataclass
class Played:
    """One of our episodes; entry t is what followed t actions."""

    layout: object = None
    actions: list = field(default_factory=list)
    poses: list = field(default_factory=list)
    observations: list = field(default_factory=list)
    rewards: list = field(default_factory=list)
    failed: bool = False


def play(task, observables, act, note=lambda cursor: None):
    """Run one episode under `act`, which is given the features; `note` is told of every moment's goals."""
    episode = Played()
    with open_batch(task, observables) as batch:
        episode.layout, shard = batch.layout, batch._shards[0]
        episode.observations.append(batch.reset()[0])
        episode.poses.append(batch.poses()[0][0])
        note(shard.cursor)
        while True:
            episode.actions.append(act(shard.physics.features))
            result = batch.step(episode.actions[-1][None])
            episode.poses.append(batch.reached().qpos[0])
            episode.rewards.append(result.rewards[0])
            if result.episodes:
                episode.observations.append(result.final_observations[0])
                episode.failed = bool(result.terminated[0])
                return episode
            episode.observations.append(result.observations[0])
            note(shard.cursor)


@pytest.fixture(scope="module")
def both(pose):
    """Our episode of 220 steps, dm_control's with the targets, the place and the actions of ours, and the targets."""
    # So wide that a walker that only stands is near most targets, and these soon move on.
    settings = GoToTargetSettings(max_steps=STEPS, distance_tolerance=5.0)
    targets = []

    def note(cursor):
        if not targets or not np.array_equal(targets[-1], cursor.target[0, :2]):
            targets.append(cursor.target[0, :2].copy())

    ours = play(GoToTarget(pose, settings), (*GoToTarget.observables, *TORSO), Balance(pose), note)
    environment = composer_go_to_target(
        pose, settings, observables=TORSO, target_spawn=Given(targets), walker_spawn=Given([begun(ours, pose)])
    )
    # Compiling the task has drawn the first target.
    environment.task._target_spawn_position = Given(targets)
    theirs, poses = [environment.reset()], [environment.physics.data.qpos.copy()]
    for action in ours.actions:
        theirs.append(environment.step(action))
        poses.append(environment.physics.data.qpos.copy())
    return ours, theirs, poses, targets, environment


def begun(ours, pose):
    return ours.poses[0][:2] - pose.qpos()[0, :2]


def test_the_episode_is_dm_controls(both):
    ours, theirs, poses, targets, _ = both
    assert (len(ours.actions), ours.failed) == (STEPS, False)
    assert len(targets) > 3
    worst = defaultdict(float)
    for flat, their in zip(ours.observations, theirs, strict=True):
        for name, value in ours.layout.split(flat).items():
            difference = np.abs(value - np.ravel(their.observation[name])).max()
            worst[name] = max(worst[name], difference / max(1.0, np.abs(value).max()))
    assert max(worst.values()) <= 1e-6, worst
    np.testing.assert_allclose(ours.poses, poses, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.rewards, [their.reward for their in theirs[1:]], rtol=0, atol=1e-9)
    assert all(their.discount == 1.0 for their in theirs[1:])
    assert 0.1 < np.mean(ours.rewards) < 1.0


def test_targets_have_no_part_in_the_physics(both):
    environment = both[-1]
    number = environment.physics.bind(environment.task._target).element_id
    # dm_control counts the target's number, which is a site's, among the geoms of the ground: it is the floor's own.
    assert environment.physics.model.id2name(int(number), "geom") == "groundplane"


def test_a_fall_ends_both_at_the_same_step(pose):
    rng = np.random.default_rng(1)
    ours = play(GoToTarget(pose), GoToTarget.observables, lambda features: rng.uniform(-1.0, 1.0, 56))
    environment = composer_go_to_target(pose, walker_spawn=Given([begun(ours, pose)]))
    environment.reset()
    length = next(step for step, action in enumerate(ours.actions, 1) if environment.step(action).last())
    assert (len(ours.actions), ours.failed) == (length, True)


def test_velocities_are_rewarded_by_dm_controls_torso(both, pose):
    theirs = both[1]
    settings = VelocityControlSettings(max_steps=STEPS, steps_before_changing_velocity=25, direction_exponent=2.0)
    wanted = []
    ours = play(
        VelocityControl(pose, settings), VelocityControl.observables, Balance(pose),
        lambda cursor: wanted.append((float(cursor.speed[0]), float(cursor.angle[0]))),
    )  # fmt: skip
    assert len(set(wanted)) == 1 + (STEPS - 1) // 25
    for step in range(1, STEPS):
        speed, angle = wanted[step]
        velocity = [float(theirs[step].observation[name]) for name in TORSO]
        moving = math.hypot(*velocity)
        cosine = (math.cos(angle) * velocity[0] + math.sin(angle) * velocity[1]) / moving
        expected = math.exp(-(((speed - moving) / 0.75) ** 2)) * ((cosine + 1.0) / 2.0) ** 2
        assert ours.rewards[step - 1] == pytest.approx(expected, abs=1e-8)
        seen = ours.layout.split(ours.observations[step])["target_obs"]
        np.testing.assert_allclose(seen, [speed, math.sin(angle), math.cos(angle), (step % 25) / 25], atol=1e-6)
