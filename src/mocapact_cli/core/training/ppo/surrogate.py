"""What PPO's actor learns from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor


class Surrogate(NamedTuple):
    """PPO's objective on a batch of samples, each a scalar."""

    loss: Tensor
    """Minus the clipped objective; gradients flow through it."""
    divergence: Tensor
    """Estimate of the divergence from the policy that acted (Schulman, 2020, "Approximating KL divergence")."""
    clipped_share: Tensor
    """Share of the samples whose ratio lies beyond the limit."""


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
    chances = policy.get_distribution(samples.observations).log_prob(samples.actions)
    change = chances - samples.old_log_prob
    ratio = change.exp()
    clipped = ratio.clamp(1.0 - clip_range, 1.0 + clip_range)
    loss = -torch.min(ratio * advantages, clipped * advantages).mean()
    with torch.no_grad():
        return Surrogate(loss, (ratio - 1.0 - change).mean(), ((ratio - 1.0).abs() > clip_range).float().mean())
