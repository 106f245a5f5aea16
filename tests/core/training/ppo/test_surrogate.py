from __future__ import annotations

import pytest
import torch

from mocapact_cli.core.training.ppo.surrogate import log_probabilities


@pytest.mark.parametrize("settings", [{}, {"teacher": True}, {"privileged_critic": False}], ids=str)
def test_probabilities_and_their_gradients_are_those_of_stable_baselines(build, settings) -> None:
    policy = build(**settings).policy
    policy.log_std.requires_grad_(True)
    policy.log_std.data.uniform_(-2.5, 0.5)
    policy.action_net.weight.data.normal_(std=0.3)
    observations = torch.randn(9, policy.observation_space.shape[0])
    actions = torch.randn(9, 56)
    found = []
    for chances in (
        log_probabilities(policy, observations, actions),
        policy.get_distribution(observations).log_prob(actions),
    ):
        policy.zero_grad()
        torch.autograd.backward((chances * torch.arange(9.0)).sum())
        acting = {name: value.grad.clone() for name, value in policy.named_parameters() if value.grad is not None}
        found.append((chances.detach(), acting))
    (ours, our_gradients), (theirs, their_gradients) = found
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-3)
    assert our_gradients.keys() == their_gradients.keys() >= {"log_std", "action_net.weight"}
    for name, value in their_gradients.items():
        torch.testing.assert_close(our_gradients[name], value, rtol=1e-3, atol=1e-3, msg=name)
