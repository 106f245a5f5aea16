from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.datasets.reader import read_rollouts
from mocapact_cli.core.rollouts.gae import generalized_advantages

NUMBERS = st.floats(-10, 10, allow_nan=False)
SHARES = st.floats(0, 1)


def by_definition(rewards, values, gamma: float, lam: float, terminal: float) -> np.ndarray:
    """The sum over later steps of (gamma lambda)^k times the temporal-difference error there."""
    after = [*values[1:], terminal]
    errors = [r + gamma * n - v for r, n, v in zip(rewards, after, values, strict=True)]
    return np.array([
        sum((gamma * lam) ** (later - now) * errors[later] for later in range(now, len(errors)))
        for now in range(len(errors))
    ])  # fmt: skip


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30), SHARES, SHARES, NUMBERS)
def test_equals_the_sum_that_defines_it(steps: list[tuple[float, float]], gamma: float, lam: float, end: float) -> None:
    rewards, values = (np.array(column) for column in zip(*steps, strict=True))
    found = generalized_advantages(rewards, values, gamma=gamma, gae_lambda=lam, terminal_value=end)
    np.testing.assert_allclose(found, by_definition(rewards, values, gamma, lam, end), atol=1e-8)


@given(st.lists(NUMBERS, min_size=1, max_size=30), SHARES)
def test_lambda_one_is_the_return_less_the_value(rewards: list[float], gamma: float) -> None:
    values = np.linspace(0, 1, len(rewards))
    returns = [sum(gamma**k * r for k, r in enumerate(rewards[start:])) for start in range(len(rewards))]
    found = generalized_advantages(np.array(rewards), values, gamma=gamma, gae_lambda=1.0)
    np.testing.assert_allclose(found, np.array(returns) - values, atol=1e-8)


def test_published_advantages_are_reproduced(test_data: Path) -> None:
    with read_rollouts(test_data / "published/dataset") as rollouts:
        for episode in rollouts:
            found = generalized_advantages(episode.rewards, episode.values, gamma=0.95, gae_lambda=0.95)
            np.testing.assert_allclose(found, episode.advantages, atol=1e-5)
