"""Equal to dm_control's own environment: the same starts and the same actions give the same everything.

Episodes are first run in dm_control, then replayed from their starts, all together, in a batch on two threads.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pytest

from mocapact_cli.core.bench.composer_env import composer_environment
from mocapact_cli.core.clips.importing import import_recordings
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import EpisodeQueue
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, MULTI_CLIP_SANS_ID
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig
from mocapact_cli.core.walker.model import get_walker

STEPS = 200
REAL = {
    "07_01.amc": "CMU_007_01", "08_03.amc": "CMU_008_03", "09_03.amc": "CMU_009_03", "35_01.amc": "CMU_035_01",
    "49_18.amc": "CMU_049_18", "131_04.amc": "CMU_131_04",
}  # fmt: skip
EXPERT = TrackingConfig(ref_steps=(0,), termination_error_threshold=0.3)
ROLLOUT = TrackingConfig(ref_steps=(1, 2, 3, 4, 5), termination_error_threshold=5.0)


@dataclass
class Recorded:
    """An episode of dm_control's environment; entry t is what followed t actions."""

    start: Start
    observations: list = field(default_factory=list)
    states: list = field(default_factory=list)
    actions: list = field(default_factory=list)
    rewards: list = field(default_factory=list)
    discounts: list = field(default_factory=list)
    channels: list = field(default_factory=list)


def record(environment, snippets, steps, rng):
    """Run whole episodes of dm_control's environment until they have ``steps`` control steps in all."""
    episodes = []
    while sum(len(episode.actions) for episode in episodes) < steps:
        episodes.append(record_episode(environment, snippets, rng))
    return episodes


def record_episode(environment, snippets, rng):
    task, walker = environment.task, get_walker()
    timestep = environment.reset()
    clip, snippet = snippets[task._current_clip_index]
    episode = Recorded(Start(task._current_clip_index, snippet.start_step + task._time_step))
    # Most episodes follow the clip, so that they last; some move at random, so that they fall.
    scale = rng.choice([0.05, 0.3, 1.0], p=[0.5, 0.3, 0.2])
    note(episode, environment, timestep)
    while not timestep.last():
        target = clip.joints[snippet.start_step + task._time_step + 1]
        action = np.clip(walker.pose_to_action(target) + scale * rng.standard_normal(56), -1, 1)
        timestep = environment.step(action)
        episode.actions.append(action)
        note(episode, environment, timestep)
    return episode


def note(episode, environment, timestep):
    data = environment.physics.data
    episode.observations.append({name: np.ravel(value) for name, value in timestep.observation.items()})
    episode.states.append(np.concatenate([[data.time], data.qpos, data.qvel, data.act]))
    if not timestep.first():
        episode.rewards.append(timestep.reward)
        episode.discounts.append(timestep.discount)
        episode.channels.append(dict(environment.task.last_reward_channels))


class Replay:
    """Runs recorded episodes in a batch, several environments at a time, and compares every step."""

    def __init__(self, episodes, snippets, config, observables, num_envs=3):
        self.episodes = episodes
        self.batch = TrackingBatch(
            snippets, num_envs=num_envs, observables=observables, config=config, threads=2,
            starts=EpisodeQueue([*(episode.start for episode in episodes), *[episodes[0].start] * 1000]),
        )  # fmt: skip
        # A batch keeps one start waiting for each environment, so the episodes go round in this order. Those at the
        # queue's end only keep every environment busy and are not compared.
        self.current = [index if index < len(episodes) else None for index in range(num_envs)]
        self.waiting = [index if index < len(episodes) else None for index in range(num_envs, 2 * num_envs)]
        self.upcoming = iter(range(2 * num_envs, len(episodes)))
        self.steps = [0] * num_envs
        self.worst = defaultdict(float)
        self.finished = 0

    def run(self):
        observations = self.batch.reset()
        for env, index in enumerate(self.current):
            if index is not None:
                self.compare_observations(observations[env], self.episodes[index].observations[0])
        while self.finished < len(self.episodes):
            result = self.batch.step(self.actions())
            self.compare(result)
        self.batch.close()
        return self.worst

    def actions(self):
        actions = np.zeros((self.batch.num_envs, 56))
        for env, index in enumerate(self.current):
            if index is not None:
                actions[env] = self.episodes[index].actions[self.steps[env]]
        return actions

    def compare(self, result):
        done = result.terminated | result.truncated
        final = dict(zip(result.done_envs.tolist(), result.final_observations, strict=True))
        ends = {end.env: end for end in result.episodes}
        for env, index in enumerate(self.current):
            assert result.active[env]
            if index is None:
                continue
            episode = self.episodes[index]
            self.steps[env] += 1
            step = self.steps[env]
            assert done[env] == (step == len(episode.actions))
            assert episode.discounts[step - 1] == (0.0 if result.terminated[env] else 1.0)
            self.note("reward", result.rewards[env] - episode.rewards[step - 1])
            for name, value in episode.channels[step - 1].items():
                self.note("channels", result.channels[name][env] - value)
            self.note("state", self.state(env) - episode.states[step])
            self.compare_observations(final[env] if done[env] else result.observations[env], episode.observations[step])
            if done[env]:
                self.compare_end(ends[env], episode)
                self.advance(env, result)

    def compare_end(self, end, episode):
        assert (end.snippet_index, end.start_step) == (episode.start.snippet_index, episode.start.start_step)
        assert end.length == len(episode.actions)
        assert end.early_termination == (episode.discounts[-1] == 0.0)
        assert not end.diverged
        assert end.episode_return == pytest.approx(sum(episode.rewards), abs=1e-9)

    def advance(self, env, result):
        self.finished += 1
        self.steps[env] = 0
        self.current[env], self.waiting[env] = self.waiting[env], next(self.upcoming, None)
        if self.current[env] is not None:
            first = self.episodes[self.current[env]].observations[0]
            self.compare_observations(result.observations[env], first)

    def state(self, env):
        """The state after stepping, which resets do not overwrite."""
        shard, row = self.batch._places[env]
        features = self.batch._shards[shard].physics.features
        parts = [features.time[row : row + 1], features.qpos[row], features.qvel[row], features.act[row]]
        return np.concatenate(parts)

    def compare_observations(self, flat, recorded):
        for name, value in self.batch.layout.split(flat).items():
            expected = recorded[name]
            # Observations are float32: about 1e-7 of what they measure.
            self.note(name, (value - expected) / max(1.0, np.abs(expected).max()))

    def note(self, name, difference):
        self.worst[name] = max(self.worst[name], float(np.abs(difference).max()))


def assert_equal(worst):
    assert worst["state"] <= 1e-9
    assert worst["reward"] <= 1e-9
    assert worst["channels"] <= 1e-9
    observables = {name: value for name, value in worst.items() if name.startswith("walker/")}
    assert observables
    assert {name: value for name, value in observables.items() if not value <= 1e-6} == {}


def check(snippets, config, *, observables=ALL_PROPRIOS, steps=STEPS, seed=0, **settings):
    """Record, replay and compare; returns the recorded episodes."""
    environment = composer_environment(snippets, config, observables=observables, seed=seed, **settings)
    episodes = record(environment, snippets, steps, np.random.default_rng(seed))
    environment.close()
    assert_equal(Replay(episodes, snippets, config, observables).run())
    return episodes


@pytest.fixture(scope="session")
def real_mocap(test_data, tmp_path_factory):
    """An HDF5 file of real recordings, converted by this package."""
    path = tmp_path_factory.mktemp("mocap") / "real.h5"
    import_recordings([test_data / "mocap" / "cmu" / name for name in REAL], path)
    return path


@pytest.mark.parametrize("config", [EXPERT, ROLLOUT], ids=["expert", "rollout"])
@pytest.mark.parametrize("name", ["demo_reach", "demo_squat", "demo_step", "demo_walk"])
def test_a_built_in_clip_runs_as_in_dm_control(demos, name, config):
    check([demos[name]], config)


@pytest.mark.parametrize("config", [EXPERT, ROLLOUT], ids=["expert", "rollout"])
@pytest.mark.parametrize("name", REAL.values())
def test_a_real_clip_runs_as_in_dm_control(real_mocap, name, config):
    library = open_library(real_mocap)
    last = library.num_steps(name) - 1
    snippet = Snippet(name, min(7, last // 4), min(160, last))
    check([(library.get(name), snippet)], config, mocap=real_mocap)


@pytest.mark.parametrize("reward_type", ["comic", "multi_term_pose_reward", "termination_reward"])
def test_every_reward_type_is_dm_controls(demos, reward_type):
    config = TrackingConfig(reward_type=reward_type, termination_error_threshold=0.5)
    episodes = check([demos["demo_step"]], config, observables=MULTI_CLIP_SANS_ID, steps=100)
    assert episodes[0].channels[0]


def test_several_weighted_snippets_share_a_batch(demos):
    squat, walk, reach = (demos[name][0] for name in ("demo_squat", "demo_walk", "demo_reach"))
    snippets = [
        (squat, Snippet(squat.id, 0, 40)), (walk, Snippet(walk.id, 3, 90)), (walk, Snippet(walk.id, 80, 140)),
        (reach, Snippet(reach.id, 20, 60)),
    ]  # fmt: skip
    config = TrackingConfig(ref_steps=(1, 5), min_steps=4)
    episodes = check(snippets, config, steps=400, weights=(1.0, 1.0, 1.5, 3.0))
    assert {episode.start.snippet_index for episode in episodes} == {0, 1, 2, 3}


def test_both_kinds_of_ending_occur(demos):
    walk, config = demos["demo_walk"][0], TrackingConfig(termination_error_threshold=0.07)
    episodes = check([(walk, Snippet(walk.id, 40, 70))], config, observables=MULTI_CLIP_SANS_ID, steps=150)
    assert {episode.discounts[-1] for episode in episodes} == {0.0, 1.0}


def test_starting_at_the_first_step_as_dm_control_does(demos):
    walk = demos["demo_walk"][0]
    config = TrackingConfig(always_init_at_clip_start=True, termination_error_threshold=1.0)
    episodes = check([(walk, Snippet(walk.id, 21, 60))], config, observables=MULTI_CLIP_SANS_ID, steps=60)
    assert {episode.start.start_step for episode in episodes} == {21}


def test_sensors_of_forces_belong_to_the_new_state(demos):
    """They must not lag behind by a physics step: dm_control evaluates the state anew before it reads them."""
    snippets, config = [demos["demo_step"]], TrackingConfig(termination_error_threshold=5.0)
    observables = ("walker/sensors_accelerometer", "walker/sensors_torque", "walker/sensors_touch")
    environment = composer_environment(snippets, config)
    (episode, *_) = record(environment, snippets, 1, np.random.default_rng(3))
    environment.close()
    change = np.diff([seen["walker/sensors_accelerometer"] for seen in episode.observations], axis=0)
    assert np.abs(change).max() > 1.0
    worst = Replay([episode], snippets, config, observables, num_envs=1).run()
    assert all(worst[name] <= 1e-6 for name in observables)


@pytest.mark.parametrize(
    "config",
    [
        TrackingConfig(),
        TrackingConfig(ref_steps=(1, 2, 3, 4, 5), min_steps=30),
        TrackingConfig(ref_steps=(0, 7), min_steps=1),
        TrackingConfig(always_init_at_clip_start=True),
    ],
)
def test_starts_and_their_probabilities_are_dm_controls(demos, config):
    squat, walk = demos["demo_squat"][0], demos["demo_walk"][0]
    snippets = [(squat, Snippet(squat.id, 5, 55)), (walk, Snippet(walk.id, 0, 44))]
    weights = (1.0, 3.5)
    environment = composer_environment(snippets, config, weights=weights)
    with TrackingBatch(
        snippets, num_envs=1, observables=["walker/joints_pos"], config=config, weights=weights
    ) as batch:
        starts, probabilities = batch.task.possible_starts()
    theirs = environment.task
    assert [(start.snippet_index, start.start_step) for start in starts] == theirs._possible_starts
    np.testing.assert_allclose(probabilities, theirs._start_probabilities, atol=1e-15)
    environment.close()


def test_a_diverging_simulation_ends_as_in_dm_control(demos):
    snippets, config = [demos["demo_step"]], TrackingConfig()
    environment = composer_environment(snippets, config)
    start = Start(0, record_start(environment))
    batch = TrackingBatch(
        snippets, num_envs=1, observables=["walker/joints_pos"], config=config, starts=EpisodeQueue([start])
    )
    batch.reset()
    for data in (environment.physics.data, batch._shards[0].physics.data[0]):
        data.qvel[10] = 1e12
    timestep, result = environment.step(np.zeros(56)), batch.step(np.zeros((1, 56)))
    assert (timestep.last(), timestep.reward, timestep.discount) == (True, 0.0, 0.0)
    assert (result.terminated[0], result.rewards[0], result.episodes[0].diverged) == (True, 0.0, True)
    environment.close()
    batch.close()


def record_start(environment):
    environment.reset()
    return int(environment.task._time_step)
