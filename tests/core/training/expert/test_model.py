from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.sim.observables import TIME_INDEX
from mocapact_cli.core.training.expert.model import build_env, build_model, snapshot


@pytest.fixture
def learning(trainer):
    """A model that has learned for an update, its environment and its settings."""
    config = replace(trainer.config, learning_rate=0.01)
    batch = TrackingBatch([(trainer.clip, trainer.snippet)], num_envs=8, observables=TIME_INDEX, threads=1)
    env = build_env(batch, config)
    model = build_model(env, config, lambda left: 0.01)
    model.learn(config.steps_per_update)
    yield model, env, config
    env.close()


def test_learning_moves_the_means_but_not_the_standard_deviation(learning) -> None:
    model, _, config = learning
    before = model.policy.action_net.weight.detach().clone()
    model.learn(config.steps_per_update)
    assert not torch.equal(before, model.policy.action_net.weight)
    np.testing.assert_allclose(model.policy.log_std.exp().detach(), config.std, rtol=1e-6)


def test_a_snapshot_acts_as_the_model_does(learning) -> None:
    model, env, config = learning
    policy = snapshot(model, env, config, TIME_INDEX)
    observations = np.random.default_rng(0).standard_normal((5, policy.obs_size)).astype(np.float32)
    expected, _ = model.predict(env.normalize_obs(observations), deterministic=True)
    np.testing.assert_allclose(policy.predict(observations)[0], expected, atol=1e-5)
    normalized = torch.as_tensor(env.normalize_obs(observations), dtype=torch.float32)
    scale = np.sqrt(env.ret_rms.var + env.epsilon)
    values = model.policy.predict_values(normalized)[:, 0].detach().numpy() * scale
    np.testing.assert_allclose(policy.values(observations), values, rtol=1e-4, atol=1e-5)


def test_later_training_does_not_change_a_snapshot(learning) -> None:
    model, env, config = learning
    policy = snapshot(model, env, config, TIME_INDEX)
    observations = np.random.default_rng(0).standard_normal((5, policy.obs_size)).astype(np.float32)
    before = policy.predict(observations)[0]
    model.learn(config.steps_per_update)
    np.testing.assert_array_equal(policy.predict(observations)[0], before)
    assert not np.array_equal(snapshot(model, env, config, TIME_INDEX).predict(observations)[0], before)


def test_the_optimizer_is_stable_baselines_own(learning) -> None:
    (group,) = learning[0].policy.optimizer.param_groups
    assert isinstance(learning[0].policy.optimizer, torch.optim.Adam)
    assert (group["eps"], group["betas"], group["weight_decay"]) == (1e-5, (0.9, 0.999), 0)
