from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.embedding import DECODER, ENCODER, EmbeddingPolicy

from .conftest import BODY, make, make_batch


def make_embedding(model: str, **changes: object) -> EmbeddingPolicy:
    policy = make(model, **changes)
    assert isinstance(policy, EmbeddingPolicy)
    return policy


@pytest.mark.parametrize("recurrent", [True, False])
def test_a_whole_window_is_encoded_as_step_by_step(recurrent: bool) -> None:
    policy = make_embedding("npmp", recurrent_encoder=recurrent)
    batch = make_batch(policy)
    noise = policy.draw_noise(batch, torch.Generator().manual_seed(5))
    features = policy.features(ENCODER, batch.observations)
    means, stds, embeddings = policy.reference_encoder.unroll(features, noise)
    embedding = noise[0]
    for step in range(policy.window):
        mean, std = policy.reference_encoder(features[:, step], embedding)
        embedding = mean + std * noise[step + 1]
        torch.testing.assert_close(means[:, step], mean)
        torch.testing.assert_close(stds[:, step], std)
        torch.testing.assert_close(embeddings[:, step + 1], embedding)


@pytest.mark.parametrize("model", ["npmp", "mcp"])
def test_the_loss_is_likelihood_and_divergence_from_the_prior(model: str) -> None:
    policy = make_embedding(model, embedding_correlation=0.6, embedding_kl_weight=0.3)
    batch = make_batch(policy)
    noise = policy.draw_noise(batch, torch.Generator().manual_seed(5))
    loss, metrics = policy.loss(batch, noise)
    means, stds, embeddings = policy.reference_encoder.unroll(policy.features(ENCODER, batch.observations), noise)
    prior = Independent(Normal(0.6 * embeddings[:, :-1], 0.8), 1)
    divergence = kl_divergence(Independent(Normal(means, stds), 1), prior).mean()
    actions, action_stds = policy.decode(policy.features(DECODER, batch.observations), embeddings[:, 1:])
    log_probs = Independent(Normal(actions, torch.as_tensor(action_stds)), 1).log_prob(batch.actions)
    likelihood = (batch.weights * log_probs).mean()
    torch.testing.assert_close(metrics["kl_div"], divergence.detach())
    torch.testing.assert_close(loss, -likelihood + 0.3 * divergence)


def test_the_hierarchical_loss_is_a_sum_and_a_mean() -> None:
    policy = make_embedding("hierarchical", embedding_kl_weight=0.3)
    batch = make_batch(policy)
    noise = torch.randn(8, 4, generator=torch.Generator().manual_seed(5))
    loss, _ = policy.loss(batch, noise)
    means, stds = policy.reference_encoder(policy.features(ENCODER, batch.observations), noise)
    embedding = Independent(Normal(means, stds), 1)
    divergence = kl_divergence(embedding, Independent(Normal(torch.zeros(8, 4), 1.0), 1)).mean()
    actions, std = policy.decode(policy.features(DECODER, batch.observations), means + stds * noise)
    log_probs = Independent(Normal(actions, torch.as_tensor(std)), 1).log_prob(batch.actions)
    torch.testing.assert_close(loss, -(batch.weights @ log_probs) + 0.3 * divergence)


def test_a_product_of_gaussians_is_composed_by_precision() -> None:
    policy = make_embedding("mcp")
    features, embeddings = torch.randn(2, 6), torch.randn(2, 4)
    gates = policy.gating_net(torch.cat([features, embeddings], -1)).exp().unsqueeze(-1)
    means, log_stds = policy.primitives(features)
    precisions = gates / log_stds.exp()
    composed, std = policy.decode(features, embeddings)
    torch.testing.assert_close(composed, (precisions * means).sum(-2) / precisions.sum(-2))
    torch.testing.assert_close(std, 1.0 / precisions.sum(-2))


@pytest.mark.parametrize("model", ["hierarchical", "npmp", "mcp"])
def test_encoding_and_acting_low_level_is_predicting(model: str) -> None:
    policy = make_embedding(model)
    flat = np.random.default_rng(1).standard_normal((5, policy.obs_size)).astype(np.float32)
    previous = np.random.default_rng(2).standard_normal((5, 4)).astype(np.float32)
    actions, state = policy.predict(flat, previous)
    means, stds = policy.encode(flat, previous)
    np.testing.assert_array_equal(means, state)
    assert (stds > 0).all()
    slices = policy.features.layout.slices
    body = np.concatenate([flat[:, slices[name]] for name in BODY], axis=1)
    np.testing.assert_allclose(policy.low_level(body, means), actions, atol=1e-6)
    by_name = {name: flat[:, slices[name]] for name in BODY}
    np.testing.assert_allclose(policy.low_level(by_name, means), actions, atol=1e-6)
    assert np.abs(policy.low_level(body, means + 1.0) - actions).max() > 1e-3


def test_the_low_level_policy_refuses_what_does_not_fit() -> None:
    policy = make_embedding("npmp")
    with pytest.raises(UsageError, match="6 columns and embeddings of 4, not 13 and 4"):
        policy.low_level(np.zeros((1, 13)), np.zeros((1, 4)))
    with pytest.raises(UsageError, match="walker/sensors_gyro"):
        policy.low_level({"walker/world_zaxis": np.zeros((1, 3))}, np.zeros((1, 4)))


def test_the_prior_is_stationary() -> None:
    policy = make_embedding("npmp", embedding_correlation=0.9)
    policy.seed(0)
    embeddings = policy.initial_state(5000, deterministic=False)
    following = policy.sample_prior(embeddings)
    np.testing.assert_allclose(following.std(axis=0), 1.0, atol=0.05)
    assert np.corrcoef(embeddings[:, 0], following[:, 0])[0, 1] == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("correlation", [-0.1, 1.0, float("nan")])
def test_impossible_correlations_are_refused(correlation: float) -> None:
    with pytest.raises(UsageError, match="correlation"):
        make("npmp", embedding_correlation=correlation)
