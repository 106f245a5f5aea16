"""What PPO's actor learns from."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from mocapact_cli.core.training.ppo.model import mean_actions


class Surrogate(NamedTuple):
    """PPO's objective on a batch of samples, each a scalar."""

    loss: Tensor
    """Minus the clipped objective; gradients flow through it."""
    divergence: Tensor
    """Estimate of the divergence from the policy that acted (Schulman, 2020, "Approximating KL divergence")."""
    clipped_share: Tensor
    """Share of the samples whose ratio lies beyond the limit."""


def log_probabilities(policy: ActorCriticPolicy, observations: Tensor, actions: Tensor) -> Tensor:
    """Logarithms (B,) of the densities of actions (B, A), normally distributed about the actor's means.

    Stable-Baselines3 builds PyTorch's distribution for that, which checks its arguments at every call: dozens of small
    operations, and on a GPU a wait for each check.
    """
    scaled = (actions - mean_actions(policy, observations)) * torch.exp(-policy.log_std)
    constant = 0.5 * math.log(2.0 * math.pi) * actions.shape[-1]
    chances: Tensor = -0.5 * scaled.square().sum(dim=-1) - policy.log_std.sum() - constant
    return chances


def clipped_surrogate(policy: ActorCriticPolicy, samples: RolloutBufferSamples, clip_range: float) -> Surrogate:
    """PPO's clipped objective (Schulman et al., 2017), with advantages normalized within the batch.

    Args:
        policy: Whose actor learns.
        samples: The batch.
        clip_range: Limit of the probability ratio's distance from one.
    """
    advantages = samples.advantages
    if len(advantages) > 1:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    change = log_probabilities(policy, samples.observations, samples.actions) - samples.old_log_prob
    ratio = change.exp()
    clipped = ratio.clamp(1.0 - clip_range, 1.0 + clip_range)
    loss = -torch.min(ratio * advantages, clipped * advantages).mean()
    with torch.no_grad():
        return Surrogate(loss, (ratio - 1.0 - change).mean(), ((ratio - 1.0).abs() > clip_range).float().mean())
