import time

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnvWrapper, VecNormalize

from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.sb3 import TrackingVecEnv
from mocapact_cli.core.sim.observables import TIME_INDEX
from mocapact_cli.core.tasks.tracking import TrackingConfig


def make(snippet, num_envs=4, bootstrap_at_end=False, **task):
    batch = TrackingBatch(
        [snippet], num_envs=num_envs, observables=TIME_INDEX, config=TrackingConfig(**task), threads=2
    )
    return TrackingVecEnv(batch, bootstrap_at_end=bootstrap_at_end)


@pytest.fixture
def env(short_walk):
    env = make(short_walk)
    yield env
    env.close()


def test_spaces_and_shapes(env):
    observations = env.reset()
    assert env.observation_space.shape == (206,)
    assert env.action_space.shape == (56,)
    assert observations.shape == (4, 206)
    assert all(observation in env.observation_space for observation in observations)
    observations, rewards, dones, infos = env.step(np.array([env.action_space.sample() for _ in range(4)]))
    assert (observations.shape, observations.dtype) == ((4, 206), np.float32)
    assert (rewards.shape, rewards.dtype) == ((4,), np.float32)
    assert (dones.shape, dones.dtype) == ((4,), np.bool_)
    assert len(infos) == 4


@pytest.mark.parametrize("bootstrap_at_end", [False, True])
def test_the_info_of_an_ended_episode(short_walk, bootstrap_at_end):
    env = make(short_walk, bootstrap_at_end=bootstrap_at_end)
    env.reset()
    returns, lengths, ends = np.zeros(4), np.zeros(4, int), []
    for _ in range(60):
        # Two follow the clip to its end, two throw themselves down.
        actions = env.batch.walker.pose_to_action(env.batch.task.bank.joints[env.batch.reference_rows(1)])
        actions[2:] = 1.0
        observations, rewards, dones, infos = env.step(actions)
        returns, lengths = returns + rewards, lengths + 1
        for index, info in enumerate(infos):
            assert bool(info) == dones[index]
            if info:
                episode = info["episode"]
                assert episode["r"] == pytest.approx(returns[index], rel=1e-5)
                assert episode["l"] == lengths[index]
                assert 0 < episode["norm_length"] <= 1
                assert episode["norm_return"] == pytest.approx(episode["r"] / episode["l"] * episode["norm_length"])
                assert info["terminal_observation"].shape == (206,)
                assert not np.array_equal(info["terminal_observation"], observations[index])
                complete = episode["norm_length"] == 1.0
                ends.append((complete, info["TimeLimit.truncated"]))
                returns[index] = lengths[index] = 0
    assert {complete for complete, _ in ends} == {True, False}
    assert all(complete for complete, truncated in ends if truncated)
    assert any(truncated for _, truncated in ends) == bootstrap_at_end
    env.close()


def test_a_seed_repeats_a_run(env):
    def run():
        env.seed(11)
        return [env.reset(), *(env.step(np.full((4, 56), 0.2, np.float32))[0] for _ in range(5))]

    for one, other in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_attributes_are_shared_and_cannot_be_set(env):
    assert env.get_attr("num_envs") == [4] * 4
    assert env.get_attr("render_mode", [0, 2]) == [None, None]
    assert env.env_is_wrapped(VecEnvWrapper) == [False] * 4
    with pytest.raises(AttributeError, match="share"):
        env.set_attr("config", None)
    with pytest.raises(AttributeError, match="together"):
        env.env_method("reset")


def test_ppo_learns_on_it_without_further_wrappers(short_walk):
    env = VecNormalize(make(short_walk, num_envs=8), gamma=0.95)
    model = PPO(
        "MlpPolicy", env, n_steps=16, batch_size=64, n_epochs=2, policy_kwargs={"net_arch": [32]}, seed=0, device="cpu"
    )
    before = [parameter.detach().clone() for parameter in model.policy.parameters()]
    model.learn(512)
    assert model.num_timesteps == 512
    assert any(
        not np.array_equal(a.numpy(), b.detach().numpy())
        for a, b in zip(before, model.policy.parameters(), strict=True)
    )
    assert len(model.ep_info_buffer) > 10
    assert all(info["norm_length"] > 0 for info in model.ep_info_buffer)
    assert all(0 <= info["t"] < time.time() for info in model.ep_info_buffer)
    env.close()


def test_two_trainings_with_one_seed_are_equal(short_walk):
    def weights():
        env = make(short_walk, num_envs=8)
        model = PPO(
            "MlpPolicy",
            env,
            n_steps=16,
            batch_size=64,
            n_epochs=1,
            policy_kwargs={"net_arch": [16]},
            seed=3,
            device="cpu",
        )
        model.learn(256)
        env.close()
        return [parameter.detach().numpy().copy() for parameter in model.policy.parameters()]

    for one, other in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(one, other)
