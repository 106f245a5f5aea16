"""What holds for every model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mocapact_cli.core.datasets.loader import Batch
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.distilled import DistilledPolicy

from .conftest import CONFIGS, RECURRENT, make, make_batch


def observations_of(policy: DistilledPolicy, size: int = 7) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((size, policy.obs_size)).astype(np.float32)


def test_actions_come_for_observations_by_name_and_flat(policy: DistilledPolicy) -> None:
    flat = observations_of(policy)
    slices = policy.features.layout.slices
    by_name = {name: flat[:, columns] for name, columns in reversed(slices.items())}
    actions, _ = policy.predict(flat)
    assert actions.shape == (7, 5)
    assert actions.dtype == np.float32
    np.testing.assert_array_equal(policy.predict(by_name)[0], actions)


def test_one_environment_needs_no_batch(policy: DistilledPolicy) -> None:
    flat = observations_of(policy)
    actions, state = policy.predict(flat[0])
    assert actions.shape == (5,)
    expected, _ = policy.predict(flat)
    np.testing.assert_allclose(actions, expected[0], atol=1e-6)
    assert policy.predict(flat[1], state)[0].shape == (5,)


def test_deterministic_actions_repeat_and_training_goes_on_after_them(policy: DistilledPolicy) -> None:
    flat = observations_of(policy)
    policy.train()
    first, _ = policy.predict(flat)
    np.testing.assert_array_equal(policy.predict(flat)[0], first)
    assert policy.training


def test_actions_stay_within_their_bounds(policy: DistilledPolicy) -> None:
    actions, _ = policy.predict(1000.0 * observations_of(policy))
    assert np.abs(actions).max() <= 1.0


@pytest.mark.parametrize("model", RECURRENT)
def test_a_restarted_environment_acts_as_a_fresh_one(model: str) -> None:
    policy = make(model)
    flat, state = observations_of(policy, 3), None
    for step in range(9):
        _, state = policy.predict(np.roll(flat, step, axis=1), state)
    before = [np.copy(part) for part in (state if isinstance(state, tuple) else (state,))]
    restarted = policy.reset_state(state, np.array([False, True, False]))
    actions, _ = policy.predict(flat, restarted)
    fresh, remembering = policy.predict(flat)[0], policy.predict(flat, state)[0]
    np.testing.assert_allclose(actions, np.stack([remembering[0], fresh[1], remembering[2]]), atol=1e-6)
    assert np.abs(remembering[1] - fresh[1]).max() > 1e-6
    for part, kept in zip(state if isinstance(state, tuple) else (state,), before, strict=True):
        np.testing.assert_array_equal(part, kept)


@pytest.mark.parametrize("model", ["hierarchical", *RECURRENT])
def test_draws_follow_from_the_seed(model: str) -> None:
    policy = make(model)
    flat, global_state = observations_of(policy), torch.get_rng_state()
    draws = []
    for seed in (1, 1, 2):
        policy.seed(seed)
        draws.append(policy.predict(flat, deterministic=False)[0])
    np.testing.assert_array_equal(draws[0], draws[1])
    assert np.abs(draws[0] - draws[2]).max() > 0
    assert torch.equal(torch.get_rng_state(), global_state)


def test_gradients_reach_every_parameter(policy: DistilledPolicy) -> None:
    loss, metrics = policy.loss(make_batch(policy))
    loss.backward()
    assert loss.ndim == 0
    assert all(value.ndim == 0 and not value.requires_grad for value in metrics.values())
    assert {"loss", "mse"} <= set(metrics)
    for name, parameter in policy.named_parameters():
        # Whatever is the same for all keys of an attention cancels in its softmax.
        if not name.endswith("key.bias"):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_a_batch_can_be_learned(policy: DistilledPolicy) -> None:
    batch = make_batch(policy)
    optimizer = torch.optim.Adam(policy.parameter_groups(), lr=5e-3)
    torch.manual_seed(0)
    errors = []
    for _ in range(150):
        loss, metrics = policy.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        errors.append(float(metrics["mse"]))
    assert np.mean(errors[-10:]) < 0.4 * np.mean(errors[:3])


def test_heavier_samples_pull_more(policy: DistilledPolicy) -> None:
    batch = make_batch(policy)
    batch.weights = torch.zeros_like(batch.weights)
    policy.eval()
    losses = []
    for weight in (0.0, 1.0, 3.0):
        batch.weights[0] = weight
        torch.manual_seed(0)
        losses.append(policy.loss(batch)[0].item())
    assert losses[0] != losses[1]
    assert losses[2] - losses[0] == pytest.approx(3.0 * (losses[1] - losses[0]), rel=1e-3)


@pytest.mark.parametrize("model", ["npmp", "mcp", "gpt"])
def test_what_follows_a_short_window_does_not_matter(model: str) -> None:
    policy = make(model).eval()
    batch = make_batch(policy)
    batch.lengths[::2] = 4
    batch.weights[::2, 4:] = 0.0
    losses = []
    for garbage in (0.0, 50.0):
        batch.actions[::2, 4:] = garbage
        torch.manual_seed(0)
        losses.append(policy.loss(batch)[0].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_what_does_not_fit_is_refused(policy: DistilledPolicy) -> None:
    flat = observations_of(policy)
    with pytest.raises(UsageError, match=f"sees {policy.obs_size} columns"):
        policy.predict(flat[:, 1:])
    with pytest.raises(UsageError, match="walker/world_zaxis"):
        policy.predict({"walker/body_height": flat[:, :1]})
    batch = make_batch(policy)
    batch.observations = batch.observations[..., 1:]
    with pytest.raises(UsageError, match="columns"):
        policy.loss(batch)


@pytest.mark.parametrize("model", ["hierarchical", *RECURRENT])
def test_a_state_of_other_environments_is_refused(model: str) -> None:
    policy = make(model)
    _, state = policy.predict(observations_of(policy, 3))
    with pytest.raises(UsageError, match="The state has shape"):
        policy.predict(observations_of(policy, 4), state)


def test_losses_compile_into_one_graph(policy: DistilledPolicy) -> None:
    batch = Batch(**vars(make_batch(policy)))
    compiled = torch.compile(policy.loss, fullgraph=True, backend="eager")
    policy.eval()
    losses = []
    for loss in (policy.loss, compiled):
        torch.manual_seed(0)
        losses.append(loss(batch)[0].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_losses_bear_mixed_precision(policy: DistilledPolicy) -> None:
    batch = make_batch(policy)
    policy.eval()
    torch.manual_seed(0)
    exact = policy.loss(batch)[0].item()
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = policy.loss(batch)
    assert mixed.dtype == torch.float32
    assert mixed.item() == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("model", ["npmp", "mcp", "gpt"])
def test_models_with_memory_learn_from_windows(model: str) -> None:
    policy = make(model)
    batch = make_batch(policy)
    batch.actions = batch.actions[:, 0]
    with pytest.raises(UsageError, match="windows"):
        policy.loss(batch)


@pytest.mark.parametrize("model", sorted(CONFIGS))
def test_equal_seeds_build_equal_policies(model: str) -> None:
    one, two, other = (make(model, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert any(not torch.equal(value, other[name]) for name, value in one.items())
