from __future__ import annotations

import torch
from torch.distributions import Independent, Normal, kl_divergence

from mocapact_cli.core.policies.losses import gaussian_kl, gaussian_log_prob, masked_mse, step_mask

ACTIONS, MEANS = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0)).unbind(0)[:2]


def test_log_probabilities_are_pytorchs() -> None:
    std = torch.rand(3, 5, generator=torch.Generator().manual_seed(1)) + 0.1
    for given in (0.3, std):
        expected = Independent(Normal(MEANS, torch.as_tensor(given)), 1).log_prob(ACTIONS)
        torch.testing.assert_close(gaussian_log_prob(ACTIONS, MEANS, given), expected)


def test_divergences_are_pytorchs() -> None:
    std = torch.rand(3, 5, generator=torch.Generator().manual_seed(1)) + 0.1
    expected = kl_divergence(Independent(Normal(MEANS, std), 1), Independent(Normal(0.9 * ACTIONS, 0.4), 1))
    torch.testing.assert_close(gaussian_kl(MEANS, std, 0.9 * ACTIONS, 0.4), expected)


def test_only_steps_that_count_count() -> None:
    actions, means = torch.zeros(2, 3, 4), torch.ones(2, 3, 4)
    means[0, 1:] = 100.0
    mask = step_mask(actions, torch.tensor([1, 3]))
    assert mask.tolist() == [[1, 0, 0], [1, 1, 1]]
    assert masked_mse(actions, means, mask) == 1.0
    assert step_mask(actions, None).sum() == 6
    assert step_mask(actions[:, 0], torch.tensor([1, 1])).tolist() == [1, 1]
