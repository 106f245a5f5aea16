from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.sim.observables import TIME_INDEX
from mocapact_cli.core.training.expert.imitation import imitate_teacher
from mocapact_cli.core.training.expert.model import build_env, build_model, snapshot


@pytest.fixture(params=[(True, True), (True, False), (False, False)], ids=["teacher", "privileged", "public"])
def learning(trainer, request: pytest.FixtureRequest):
    """A model that has learned for an update, its environment and its settings."""
    privileged, teacher = request.param
    config = replace(trainer.config, learning_rate=0.01, privileged_critic=privileged, teacher=teacher)
    env = build_env(trainer.batch(config), config)
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
    seen = np.random.default_rng(0).standard_normal((5, len(env.obs_rms.mean))).astype(np.float32)
    observations = seen[:, : policy.obs_size]
    normalized = torch.as_tensor(env.normalize_obs(seen), dtype=torch.float32)
    if config.teacher:
        expected = model.policy.expert_means(normalized).clamp(-1.0, 1.0).detach().numpy()
    else:
        expected, _ = model.predict(env.normalize_obs(seen), deterministic=True)
    np.testing.assert_allclose(policy.predict(observations)[0], expected, atol=1e-5)
    judge = model.policy.public_values if config.privileged_critic else model.policy.predict_values
    values = judge(normalized)[:, 0].detach().numpy() * np.sqrt(env.ret_rms.var + env.epsilon)
    np.testing.assert_allclose(policy.values(observations), values, rtol=1e-4, atol=1e-5)


def test_later_training_does_not_change_a_snapshot(learning) -> None:
    model, env, config = learning
    policy = snapshot(model, env, config, TIME_INDEX)
    observations = np.random.default_rng(0).standard_normal((5, policy.obs_size)).astype(np.float32)
    before = policy.predict(observations)[0]
    model.learn(config.steps_per_update)
    if config.teacher:
        imitate_teacher(model, env, 64, 1, NullProgress())
    np.testing.assert_array_equal(policy.predict(observations)[0], before)
    assert not np.array_equal(snapshot(model, env, config, TIME_INDEX).predict(observations)[0], before)


def test_the_optimizer_is_stable_baselines_own(learning) -> None:
    (group,) = learning[0].policy.optimizer.param_groups
    assert isinstance(learning[0].policy.optimizer, torch.optim.Adam)
    assert (group["eps"], group["betas"], group["weight_decay"]) == (1e-5, (0.9, 0.999), 0)
