"""What imitation minimizes: weighted log-probabilities of Gaussians, and their divergence from a prior."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from mocapact_cli.core.policies.features import TensorObservations

_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)
Metrics = dict[str, "Tensor"]
"""Numbers to log beside the loss, detached scalars."""


class TrainingBatch(Protocol):
    """B samples to imitate, such as a `BatchLoader` gives; windows of L steps, or single steps."""

    @property
    def observations(self) -> TensorObservations:
        """Not normalized: flat (B[, L], P), or by view or observable."""

    @property
    def actions(self) -> Tensor:
        """(B[, L], A)."""

    @property
    def weights(self) -> Tensor:
        """(B[, L])."""

    @property
    def lengths(self) -> Tensor | None:
        """(B,) steps of each window that count; None where all do."""


def gaussian_log_prob(actions: Tensor, means: Tensor, std: float | Tensor) -> Tensor:
    """Return the log-probabilities (...) of actions (..., A) under independent Gaussians."""
    log_std = std.log() if isinstance(std, torch.Tensor) else math.log(std)
    return (-0.5 * ((actions - means) / std) ** 2 - log_std - _HALF_LOG_TAU).sum(-1)


def gaussian_kl(mean: Tensor, std: Tensor, prior_mean: Tensor | float, prior_std: float) -> Tensor:
    """Return KL(N(mean, std) || N(prior_mean, prior_std)), summed over the last axis."""
    ratio = (std / prior_std) ** 2
    shift = ((mean - prior_mean) / prior_std) ** 2
    return 0.5 * (ratio + shift - 1.0 - ratio.log()).sum(-1)


def step_mask(actions: Tensor, lengths: Tensor | None) -> Tensor:
    """Return which steps (B[, L]) count, as ones and zeros."""
    mask = actions.new_ones(actions.shape[:-1])
    if lengths is None or mask.ndim == 1:
        return mask
    return (torch.arange(mask.shape[1], device=mask.device) < lengths.to(mask.device)[:, None]).to(mask.dtype)


def masked_mse(actions: Tensor, means: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error over the steps that count."""
    squares = (actions - means).square().mean(-1)
    return (squares * mask).sum() / mask.sum()
