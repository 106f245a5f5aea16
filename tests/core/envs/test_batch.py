import numpy as np
import pytest

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import EpisodeQueue
from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, TIME_INDEX
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig

NEVER_FAILS = TrackingConfig(termination_error_threshold=1e9)


def make(snippets, **settings):
    settings = {"num_envs": 4, "observables": TIME_INDEX, "threads": 2} | settings
    return TrackingBatch(snippets if isinstance(snippets, list) else [snippets], **settings)


def run(batch, steps=30, seed=None, scale=0.3):
    """Everything that a batch gives over some steps of random actions that depend on the environment's number alone."""
    rngs = [np.random.default_rng(env) for env in range(batch.num_envs)]
    seen = [batch.reset(seed).copy()]
    for _ in range(steps):
        result = batch.step(np.array([scale * rng.standard_normal(56) for rng in rngs]))
        seen += [result.observations.copy(), result.rewards, result.terminated, result.final_observations]
    return seen


def assert_same(one, other):
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


def test_two_runs_with_one_seed_are_equal_to_the_last_bit(walk):
    config = TrackingConfig(act_noise=0.1)
    with make(walk, config=config, seed=3) as one, make(walk, config=config, seed=3) as other:
        assert_same(run(one), run(other))


def test_reset_with_a_seed_repeats_a_run(walk):
    with make(walk, config=TrackingConfig(act_noise=0.1)) as batch:
        first = run(batch, seed=5)
        run(batch)
        assert_same(first, run(batch, seed=5))


def test_another_seed_gives_another_run(walk):
    with make(walk, seed=1) as one, make(walk, seed=2) as other:
        assert not np.array_equal(one.reset(), other.reset())


def test_a_reset_without_seed_draws_anew(walk):
    with make(walk) as batch:
        assert not np.array_equal(batch.reset(), batch.reset())


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_results_do_not_depend_on_the_number_of_threads_and_shards(walk, threads):
    config = TrackingConfig(ref_steps=(1, 2, 3, 4, 5), act_noise=0.05)
    settings = {"num_envs": 9, "observables": ALL_PROPRIOS, "config": config}
    with make(walk, threads=1, **settings) as alone, make(walk, threads=threads, **settings) as many:
        assert_same(run(alone), run(many))


def test_an_environments_episode_does_not_depend_on_its_neighbours(walk):
    start = Start(0, 40)
    actions = np.random.default_rng(0).normal(0, 0.3, (12, 56))

    def episode(num_envs, place):
        starts = [Start(0, 10 + env) for env in range(num_envs)]
        starts[place] = start
        with make(walk, num_envs=num_envs, starts=EpisodeQueue(starts), config=NEVER_FAILS) as batch:
            seen = [batch.reset()[place]]
            for action in actions:
                everyone = np.random.default_rng(num_envs).normal(0, 1, (num_envs, 56))
                everyone[place] = action
                seen.append(batch.step(everyone).observations[place])
        return np.array(seen)

    np.testing.assert_array_equal(episode(1, 0), episode(7, 4))


def test_action_noise_has_the_given_spread_and_moves_the_body(walk):
    quiet = make(walk, num_envs=40, starts=EpisodeQueue([Start(0, 20)] * 40), config=NEVER_FAILS)
    config = TrackingConfig(termination_error_threshold=1e9, act_noise=0.2)
    noisy = make(walk, num_envs=40, starts=EpisodeQueue([Start(0, 20)] * 40), config=config)
    quiet.reset(0), noisy.reset(0)
    zeros = np.zeros((40, 56))
    name = quiet.layout.slices["walker/actuator_activation"]
    still, moved = (b.step(zeros).observations[:, name] for b in (quiet, noisy))
    # After a step of 0.03 s a filter of 0.03 s has reached 1 - (1 - 1/6)^6 of its input.
    reached = 1 - (1 - 1 / 6) ** 6
    assert np.std(moved - still) == pytest.approx(0.2 * reached, rel=0.05)
    np.testing.assert_array_equal(still[0], still[1])
    quiet.close(), noisy.close()


def test_norms_are_relative_to_what_was_left_of_the_snippet(demos):
    clip = demos["demo_walk"][0]
    snippet = Snippet(clip.id, 30, 60)
    starts = [Start(0, 30), Start(0, 45)]
    with make((clip, snippet), num_envs=2, starts=EpisodeQueue(starts), config=NEVER_FAILS) as batch:
        batch.reset()
        ends, total = {}, np.zeros(2)
        for _ in range(30):
            result = batch.step(np.zeros((2, 56)))
            total += result.rewards
            ends |= {end.env: end for end in result.episodes}
    assert [ends[env].length for env in (0, 1)] == [30, 15]
    for env in (0, 1):
        end = ends[env]
        assert end.norm_length == 1.0
        assert end.episode_return == pytest.approx(total[env])
        assert end.norm_return == pytest.approx(total[env] / end.length)
        assert not end.early_termination


def test_a_fall_counts_the_share_that_was_reached(walk):
    config = TrackingConfig(termination_error_threshold=0.2)
    with make(walk, num_envs=1, starts=EpisodeQueue([Start(0, 0)]), config=config) as batch:
        batch.reset()
        results = [batch.step(np.ones((1, 56)))]
        while not results[-1].episodes:
            results.append(batch.step(np.ones((1, 56))))
    step, result = len(results), results[-1]
    (end,) = result.episodes
    assert result.terminated[0]
    assert not result.truncated[0]
    assert end.length == step
    assert end.norm_length == step / (walk[0].num_steps - 1)
    assert end.norm_return == pytest.approx(end.episode_return / step * end.norm_length)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_no_number_fails_alone(walk, poison):
    with make(walk, num_envs=5, config=NEVER_FAILS) as batch, make(walk, num_envs=5, config=NEVER_FAILS) as clean:
        batch.reset(0), clean.reset(0)
        for step in range(6):
            actions = np.random.default_rng(step).normal(0, 0.2, (5, 56))
            expected = clean.step(actions)
            if step == 2:
                actions[3, 17] = poison
            result = batch.step(actions)
            others = [0, 1, 2, 4]
            np.testing.assert_array_equal(result.observations[others], expected.observations[others])
            np.testing.assert_array_equal(result.rewards[others], expected.rewards[others])
            assert np.isfinite(result.observations).all()
            if step == 2:
                (end,) = result.episodes
                assert (end.env, end.diverged, end.early_termination) == (3, True, True)
                assert result.rewards[3] == 0.0
                assert result.terminated[3]
                assert np.isfinite(result.final_observations).all()


@pytest.mark.parametrize(("field", "value"), [("qvel", 1e12), ("qpos", np.nan), ("qvel", np.inf), ("act", np.nan)])
def test_a_simulation_that_blows_up_fails_alone_and_begins_anew(walk, field, value):
    with make(walk, num_envs=5, config=NEVER_FAILS) as batch, make(walk, num_envs=5, config=NEVER_FAILS) as clean:
        batch.reset(0), clean.reset(0)
        shard, row = batch._places[1]
        getattr(batch._shards[shard].physics.data[row], field)[9] = value
        others = [0, 2, 3, 4]
        ends = []
        for step in range(5):
            actions = np.random.default_rng(step).normal(0, 0.2, (5, 56))
            result, expected = batch.step(actions), clean.step(actions)
            ends += result.episodes
            np.testing.assert_array_equal(result.observations[others], expected.observations[others])
            for values in (result.observations, result.rewards, result.final_observations):
                assert np.isfinite(values).all()
        (end,) = [end for end in ends if end.diverged]
        assert (end.env, end.length, end.early_termination) == (1, 1, True)
        assert np.isfinite(end.episode_return)


def test_a_queue_runs_each_start_once_and_then_rests(demos):
    clip = demos["demo_walk"][0]
    starts = [Start(0, step) for step in (0, 8, 3, 15, 9, 1, 12)]
    snippet = Snippet(clip.id, 0, 20)
    with make((clip, snippet), num_envs=3, starts=EpisodeQueue(starts), config=NEVER_FAILS) as batch:
        for _ in range(2):
            observations = batch.reset()
            ended, active = [], []
            while len(ended) < len(starts):
                result = batch.step(np.zeros((3, 56)))
                ended += [Start(end.snippet_index, end.start_step) for end in result.episodes]
                active.append(result.active.sum())
                assert np.isfinite(result.observations).all()
            assert sorted(ended, key=lambda start: start.start_step) == sorted(starts, key=lambda s: s.start_step)
            result = batch.step(np.zeros((3, 56)))
            assert not result.active.any()
            assert not result.rewards.any()
            assert not result.episodes
            assert batch.starts() == [None] * 3
        assert observations.shape == (3, batch.obs_size)


def test_more_environments_than_starts(walk):
    with make(walk, num_envs=4, starts=EpisodeQueue([Start(0, 5)])) as batch:
        assert np.isfinite(batch.reset()).all()
        result = batch.step(np.zeros((4, 56)))
        np.testing.assert_array_equal(result.active, [True, False, False, False])
        assert np.isfinite(result.observations).all()


def test_weights_decide_how_often_a_snippet_is_begun(demos):
    squat, walk = demos["demo_squat"][0], demos["demo_walk"][0]
    snippets = [(squat, Snippet(squat.id, 0, 40)), (walk, Snippet(walk.id, 0, 40))]
    with make(snippets, num_envs=600, weights=[1.0, 3.0]) as batch:
        batch.reset(0)
        share = np.mean([start.snippet_index for start in batch.starts()])
    assert share == pytest.approx(0.75, abs=0.06)


def test_random_starts_leave_room_and_use_all_of_it(demos):
    clip = demos["demo_walk"][0]
    config = TrackingConfig(min_steps=10, ref_steps=(1, 5))
    with make((clip, Snippet(clip.id, 4, 30)), num_envs=400, config=config) as batch:
        batch.reset(0)
        steps = {start.start_step for start in batch.starts()}
    assert steps == set(range(4, 30 - 5 - 9))


def test_poses_and_references_go_together(walk):
    with make(walk, num_envs=2, starts=EpisodeQueue([Start(0, 7), Start(0, 30)])) as batch:
        batch.reset()
        qpos, reference = batch.poses()
        np.testing.assert_allclose(qpos, walk[0].qpos()[[7, 30]])
        np.testing.assert_array_equal(qpos, reference)
        np.testing.assert_array_equal(batch.task.bank.joints[batch.reference_rows(3)], walk[0].joints[[10, 33]])


def test_references_stop_at_their_own_clips_end(demos):
    walk, squat = demos["demo_walk"][0], demos["demo_squat"][0]
    snippets = [(walk, Snippet(walk.id, 0, walk.last_step)), (squat, Snippet(squat.id, 0, squat.last_step))]
    start = Start(0, walk.last_step - 2)
    with make(snippets, num_envs=1, starts=EpisodeQueue([start])) as batch:
        batch.reset()
        np.testing.assert_array_equal(batch.task.bank.joints[batch.reference_rows(9)][0], walk.joints[-1])


@pytest.mark.parametrize("shape", [(4, 55), (3, 56), (56,), (4, 56, 1)])
def test_actions_of_another_shape_are_refused(walk, shape):
    with make(walk) as batch:
        batch.reset()
        with pytest.raises(UsageError, match=r"\(4, 56\)"):
            batch.step(np.zeros(shape))


def test_no_environments_are_refused(walk):
    with pytest.raises(UsageError, match="at least one"):
        make(walk, num_envs=0)


def test_an_unknown_observable_names_the_nearest(walk):
    with pytest.raises(UsageError) as caught:
        make(walk, observables=["walker/joint_pos"])
    assert "walker/joints_pos" in caught.value.hint


def test_a_snippet_outside_its_clip_is_refused(walk):
    clip = walk[0]
    with pytest.raises(InvalidInputError, match="outside its clip"):
        make((clip, Snippet(clip.id, 0, clip.num_steps)))


def test_a_push_adds_to_the_velocity_of_the_whole_body(walk):
    """What it adds is there after the next step, less what floor and joints made of it; others feel nothing."""
    speeds = []
    for push in (np.zeros(3), np.array([0.0, 2.0, 0.0])):
        with make(walk, config=NEVER_FAILS, threads=1) as batch:
            batch.reset(0)
            batch.step(np.zeros((4, 56)))
            batch.push(2, push)
            batch.step(np.zeros((4, 56)))
            speeds.append(batch.reached().qvel[:, :3])
    gained = speeds[1] - speeds[0]
    assert gained[2, 1] == pytest.approx(2.0, abs=0.7)
    np.testing.assert_array_equal(gained[[0, 1, 3]], 0.0)
