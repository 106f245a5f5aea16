from __future__ import annotations

import numpy as np
import pytest
import torch

from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.policies.device import choose_device
from mocapact_cli.core.policies.expert import ExpertNetwork, ExpertPolicy, Normalizer

OBSERVABLES = ("walker/body_height", "walker/world_zaxis")


@pytest.fixture
def policy() -> ExpertPolicy:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ExpertNetwork(4, 3, [8, 8], [5], activation="ELU")
    normalizer = Normalizer(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0, 0.0]), return_var=4.0)
    return ExpertPolicy(network, normalizer, OBSERVABLES, seed=0)


@pytest.fixture
def flat() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)


def test_observations_by_name_and_flat_are_the_same(policy: ExpertPolicy, flat: np.ndarray) -> None:
    by_name = {"walker/world_zaxis": flat[:, 1:], "walker/body_height": flat[:, :1], "walker/unused": flat}
    np.testing.assert_array_equal(policy.predict(by_name)[0], policy.predict(flat)[0])
    np.testing.assert_array_equal(policy.values(by_name), policy.values(flat))


def test_observations_are_normalized_as_vecnormalize_does(policy: ExpertPolicy, flat: np.ndarray) -> None:
    flat[:, 3] += 1000.0
    normalizer = policy.normalizer
    expected = np.clip((flat - normalizer.mean) / np.sqrt(normalizer.var + 1e-8), -10, 10).astype(np.float32)
    means, values = policy.mean_actions(flat), policy.values(flat)
    np.testing.assert_array_equal(means, policy.network.mean_actions(torch.from_numpy(expected)).numpy())
    scale = np.sqrt(4.0 + 1e-8)
    np.testing.assert_allclose(values, policy.network.values(torch.from_numpy(expected)).numpy() * scale, rtol=1e-6)


def test_one_environment_needs_no_batch(policy: ExpertPolicy, flat: np.ndarray) -> None:
    actions, _ = policy.predict(flat[0])
    assert actions.shape == (3,)
    np.testing.assert_allclose(actions, policy.predict(flat)[0][0], atol=1e-6)


def test_sampled_actions_spread_around_the_mean(policy: ExpertPolicy, flat: np.ndarray) -> None:
    # Means well inside the bounds, where no draw is cut off.
    policy.network.action_net.weight.data.mul_(0.1)
    means = policy.predict(flat)[0]
    draws = np.stack([policy.predict(flat, deterministic=False)[0] for _ in range(400)])
    np.testing.assert_allclose((draws - means).std(axis=0), 0.1, rtol=0.2)
    assert np.abs(draws).max() <= 1.0


def test_actions_stay_within_their_bounds(flat: np.ndarray) -> None:
    policy = ExpertPolicy.fresh(OBSERVABLES, 4, layers=(8,), act_size=3)
    policy.network.action_net.bias.data.fill_(5.0)
    assert policy.predict(flat)[0].max() == 1.0


def test_any_widths_are_rebuilt_from_the_parameters() -> None:
    network = ExpertNetwork(4, 3, [16, 8, 4], [7], activation="ReLU")
    rebuilt = ExpertNetwork.from_state_dict(network.state_dict(), "ReLU")
    assert (rebuilt.actor_widths, rebuilt.critic_widths) == ([16, 8, 4], [7])
    assert all(torch.equal(value, rebuilt.state_dict()[name]) for name, value in network.state_dict().items())


def test_parameters_are_named_as_in_stable_baselines3() -> None:
    from gymnasium.spaces import Box
    from stable_baselines3.common.policies import ActorCriticPolicy

    stock = ActorCriticPolicy(
        Box(-1, 1, (4,)), Box(-1, 1, (3,)), lambda _: 0.0, net_arch={"pi": [8, 8], "vf": [5]}
    ).state_dict()
    ours = ExpertNetwork(4, 3, [8, 8], [5]).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in stock.items()}


def test_fresh_experts_with_one_seed_are_equal(flat: np.ndarray) -> None:
    one, two, other = (ExpertPolicy.fresh(OBSERVABLES, 4, layers=(8,), seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.predict(flat)[0], two.predict(flat)[0])
    assert np.abs(one.predict(flat)[0] - other.predict(flat)[0]).max() > 0


def test_what_does_not_fit_is_refused(policy: ExpertPolicy, flat: np.ndarray) -> None:
    with pytest.raises(UsageError, match="sees 4 columns"):
        policy.predict(flat[:, :3])
    with pytest.raises(UsageError, match="walker/world_zaxis"):
        policy.predict({"walker/body_height": flat[:, :1]})
    with pytest.raises(InvalidInputError, match="5 columns"):
        ExpertPolicy(policy.network, Normalizer.identity(5), OBSERVABLES)
    with pytest.raises(InvalidInputError, match="Softplus"):
        ExpertNetwork(4, 3, [8], [8], activation="Softplus")


def test_devices() -> None:
    assert choose_device("auto") in ("cpu", "cuda")
    assert choose_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="nonsense"):
        choose_device("nonsense")
    with pytest.raises(UsageError, match="not available"):
        choose_device("cuda:99")
