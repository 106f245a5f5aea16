from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.training.expert import warm_start
from mocapact_cli.core.training.expert.model import build_env, build_model
from mocapact_cli.core.walker.statics import holding_actions


@given(seed=st.integers(0, 1000), gamma=st.floats(0.0, 1.0), steps=st.integers(1, 12))
def test_returns_are_discounted_sums_to_the_end_of_each_episode(seed: int, gamma: float, steps: int) -> None:
    rng = np.random.default_rng(seed)
    rewards, dones = rng.random((steps, 3)), rng.random((steps, 3)) < 0.3
    expected = np.zeros((steps, 3))
    for env in range(3):
        for begin in range(steps):
            for ahead in range(begin, steps):
                expected[begin, env] += gamma ** (ahead - begin) * rewards[ahead, env]
                if dones[ahead, env]:
                    break
    np.testing.assert_allclose(warm_start.discounted_returns(rewards, dones, gamma), expected, rtol=1e-12)


@pytest.fixture
def batch(trainer):
    with trainer.batch(replace(trainer.config, seed=3)) as opened:
        yield opened


def test_a_demonstration_aims_where_the_next_pose_is_held(batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_start, "STEPS_PER_ENV", 1)
    batch.reset(seed=4)
    held = np.clip(holding_actions(batch.walker, batch.task.bank.qpos[batch.reference_rows(1)]), -1.0, 1.0)
    # The demonstration's own reset takes the seed after this one.
    batch.reset(seed=3)
    shown = warm_start.demonstrate(batch, noise=0.1, gamma=0.9, seed=1)
    np.testing.assert_allclose(shown.actions, held, atol=1e-6)


def test_a_demonstration_repeats_itself(batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_start, "STEPS_PER_ENV", 5)
    shown = []
    for _ in range(2):
        batch.reset(seed=3)
        shown.append(warm_start.demonstrate(batch, noise=0.1, gamma=0.9, seed=1))
    assert shown[0].observations.shape == (40, batch.obs_size)
    assert shown[0].actions.shape == (40, 56)
    for name in ("observations", "actions", "returns"):
        np.testing.assert_array_equal(getattr(shown[0], name), getattr(shown[1], name))


def test_imitation_brings_the_policy_close_to_the_controller(trainer, batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_start, "STEPS_PER_ENV", 20)
    env = build_env(batch, trainer.config)
    model = build_model(env, trainer.config, lambda left: 1e-4)
    shown = warm_start.demonstrate(batch, noise=0.1, gamma=0.9, seed=1)

    def error() -> float:
        actions, _ = model.predict(env.normalize_obs(shown.observations), deterministic=True)
        return float(np.sqrt(np.mean((actions - shown.actions) ** 2)))

    monkeypatch.setattr(warm_start, "FIT_STEPS", 100)
    fresh = error()
    reported = warm_start.imitate(model, env, shown, NullProgress())
    assert error() < 0.25 * fresh
    assert reported == pytest.approx(error(), rel=0.3)
    # The statistics are the demonstration's, and so is the value function's scale.
    np.testing.assert_allclose(env.obs_rms.mean, shown.observations.mean(axis=0), atol=1e-3)
    normalized = torch.as_tensor(env.normalize_obs(shown.observations), dtype=torch.float32)
    for judge in (model.policy.predict_values, model.policy.public_values):
        values = judge(normalized)[:, 0].detach().numpy() * np.sqrt(env.ret_rms.var)
        assert np.mean((values - shown.returns) ** 2) < np.mean(shown.returns**2)
