import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

import mocapact_cli
from mocapact_cli.core.errors import MocapactError, NotFoundError, UsageError
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, TIME_INDEX
from mocapact_cli.envs import TRACKING_ID

SNIPPET = "demo_walk-60-80"


@pytest.fixture
def env():
    with gymnasium.make(TRACKING_ID, clip=SNIPPET) as env:
        yield env


@pytest.fixture
def vector():
    envs = gymnasium.make_vec(TRACKING_ID, num_envs=5, clip=["demo_walk-60-75", "demo_squat-0-30"], threads=2)
    yield envs
    envs.close()


@pytest.mark.parametrize("flat", [False, True])
def test_gymnasiums_checker_finds_nothing_wrong(flat):
    env = gymnasium.make(TRACKING_ID, clip=SNIPPET, flat=flat)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*(infinity|inf).*")
        check_env(env.unwrapped, skip_render_check=True)
    env.close()


def test_gymnasiums_checker_renders_too(opengl):
    env = gymnasium.make(TRACKING_ID, clip=SNIPPET, render_mode="rgb_array")
    check_env(env.unwrapped)
    env.close()


def test_observations_are_named(env):
    observation, info = env.reset(seed=1)
    assert set(observation) == set(TIME_INDEX)
    assert observation["walker/joints_pos"].shape == (56,)
    assert info["snippet"] == SNIPPET
    assert 60 <= info["start_step"] <= 80


def test_all_settings_of_the_task_are_accepted():
    env = gymnasium.make(
        TRACKING_ID, clip=["demo_walk", "demo_step-10-90"], observables=ALL_PROPRIOS, ref_steps=(1, 2, 3, 4, 5),
        min_steps=30, termination_error_threshold=0.5, reward_type="termination_reward", always_init_at_clip_start=True,
        act_noise=0.1, weights=[1.0, 2.0], flat=True,
    )  # fmt: skip
    observation, info = env.reset(seed=0)
    assert observation.shape == (2868,)
    assert info["start_step"] in {0, 10}
    env.close()


def test_a_misspelt_setting_names_the_right_one():
    with pytest.raises(UsageError) as caught:
        mocapact_cli.make_env("demo_walk", termination_error_treshold=0.5)
    assert "termination_error_threshold" in caught.value.hint


def test_an_unknown_clip_is_not_found():
    with pytest.raises(NotFoundError):
        mocapact_cli.make_env("demo_wlak")


def test_an_unknown_render_mode_is_refused():
    with pytest.raises(MocapactError, match="human"):
        mocapact_cli.make_env("demo_walk", render_mode="human")


def test_an_episode_ends_at_the_snippets_end_and_tells_how_it_went():
    env = mocapact_cli.make_env(SNIPPET, always_init_at_clip_start=True, termination_error_threshold=100.0)
    env.reset(seed=0)
    total, steps, ended = 0.0, 0, False
    while not ended:
        observation, reward, terminated, truncated, info = env.step(np.zeros(56, np.float32))
        total, steps, ended = total + reward, steps + 1, terminated or truncated
        assert reward == pytest.approx(sum(info["reward_channels"].values()))
    assert (terminated, truncated, steps) == (False, True, 20)
    assert observation["walker/time_in_clip"][0] == pytest.approx(1.0)
    assert info["norm_length"] == 1.0
    assert info["norm_return"] == pytest.approx(total / steps)
    first, info = env.reset()
    assert first["walker/time_in_clip"][0] == 0.0
    assert info == {"snippet": SNIPPET, "start_step": 60}
    env.close()


def test_a_reset_in_mid_episode_begins_a_new_one(env):
    env.reset(seed=0)
    env.step(np.zeros(56, np.float32))
    observation, info = env.reset()
    assert observation["walker/time_in_clip"][0] == pytest.approx((info["start_step"] - 60) / 20)
    np.testing.assert_array_equal(observation["walker/actuator_activation"], 0.0)


def test_two_runs_with_one_seed_are_equal(env):
    def run():
        first, _ = env.reset(seed=7)
        return [first, *(env.step(np.full(56, 0.3, np.float32))[0] for _ in range(3))]

    for one, other in zip(run(), run(), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_a_vector_has_the_spaces_of_its_environments(vector):
    assert vector.num_envs == 5
    assert vector.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert vector.observation_space == batch_space(vector.single_observation_space, 5)
    assert vector.action_space == batch_space(vector.single_action_space, 5)
    observations, infos = vector.reset(seed=0)
    assert observations in vector.observation_space
    assert set(infos["snippet"]) <= {"demo_walk-60-75", "demo_squat-0-30"}
    assert infos["_snippet"].all()


def test_a_vector_resets_in_the_same_step(vector):
    vector.reset(seed=0)
    seen = 0
    for _ in range(40):
        observations, rewards, terminated, truncated, infos = vector.step(vector.action_space.sample())
        done = terminated | truncated
        assert observations in vector.observation_space
        assert rewards.shape == (5,)
        assert not (terminated & truncated).any()
        assert infos["reward_channels"]["termination"].shape == (5,)
        if not done.any():
            assert "final_obs" not in infos
            continue
        np.testing.assert_array_equal(infos["_final_obs"], done)
        np.testing.assert_array_equal(infos["_final_info"], done)
        np.testing.assert_array_equal(infos["_snippet"], done)
        np.testing.assert_array_equal(infos["final_info"]["early_termination"][done], terminated[done])
        for env in np.flatnonzero(done):
            seen += 1
            last, first = infos["final_obs"][env], {name: value[env] for name, value in observations.items()}
            assert last in vector.single_observation_space
            # A first observation has no activation yet, a last one has.
            assert np.abs(last["walker/actuator_activation"]).max() > 0.0
            np.testing.assert_array_equal(first["walker/actuator_activation"], 0.0)
    assert seen > 5


def test_a_vector_works_under_gymnasiums_wrappers(vector):
    wrapped = gymnasium.wrappers.vector.RecordEpisodeStatistics(vector)
    wrapped.reset(seed=0)
    returns = []
    for _ in range(40):
        *_, infos = wrapped.step(np.zeros((5, 56), np.float32))
        if "episode" in infos:
            returns += infos["episode"]["r"][infos["_episode"]].tolist()
    assert returns
    assert np.isfinite(returns).all()


def test_a_flat_vector_gives_the_columns_of_the_named_one():
    named = mocapact_cli.make_env(SNIPPET, num_envs=3)
    flat = mocapact_cli.make_env(SNIPPET, num_envs=3, flat=True)
    by_name, columns = named.reset(seed=4)[0], flat.reset(seed=4)[0]
    np.testing.assert_array_equal(np.concatenate([by_name[name] for name in TIME_INDEX], axis=1), columns)
    named.close()
    flat.close()


def test_pictures_of_single_and_vector(opengl):
    env = mocapact_cli.make_env(SNIPPET, render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    assert (frame.shape, frame.dtype) == ((360, 480, 3), np.uint8)
    assert frame.std() > 10
    env.close()
    vector = mocapact_cli.make_env(SNIPPET, num_envs=2, render_mode="rgb_array")
    vector.reset(seed=0)
    frames = vector.render()
    assert len(frames) == 2
    vector.close()


def test_without_a_render_mode_there_is_no_picture(env):
    env.reset(seed=0)
    assert env.unwrapped.render() is None


@pytest.mark.parametrize("lines", ["import gymnasium, mocapact_cli", "import mocapact_cli.envs, gymnasium"])
def test_importing_registers_the_ids(lines):
    code = f"{lines}\nassert 'mocapact/Tracking-v0' in gymnasium.registry"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_line_does_not_load_gymnasium():
    code = "import sys, mocapact_cli.cli.main; assert 'gymnasium' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
