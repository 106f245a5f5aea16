"""The hierarchical perceptron: an encoder without memory, an embedding near a standard normal one, a decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mocapact_cli.core.policies.embedding import DECODER, ENCODER
from mocapact_cli.core.policies.losses import gaussian_kl, gaussian_log_prob, masked_mse, step_mask
from mocapact_cli.core.policies.npmp import NpmpConfig, NpmpPolicy

if TYPE_CHECKING:
    from mocapact_cli.core.policies.losses import Metrics, TrainingBatch


@dataclass(frozen=True)
class HierarchicalConfig(NpmpConfig):
    """The sizes of the NPMP without its memory; learns from single steps."""

    embed_size: int = 20
    """Columns of the embedding."""
    activation: str = "Tanh"
    """Name of the activation."""
    layer_norm: bool = False
    """Whether hidden layers are normalized."""
    squash_output: bool = True
    """Whether tanh keeps the mean actions within their bounds."""
    recurrent_encoder: bool = False
    """Whether the encoder sees the previous embedding."""
    seq_steps: int = 1
    """Steps of a training sample."""


class HierarchicalPolicy(NpmpPolicy):
    """An encoder and a decoder with nothing from one step to the next but what the walker's body keeps."""

    model = "hierarchical"
    sums_over_batch = True
    config: HierarchicalConfig

    def loss(self, batch: TrainingBatch, noise: Tensor | None = None) -> tuple[Tensor, Metrics]:
        """Return the negative weighted log-probability, a sum, plus the weighted divergence, a mean.

        Args:
            batch: Single steps or windows.
            noise: (B[, L], E) standard normal.
        """
        means, stds = self.reference_encoder(self.features(ENCODER, batch.observations), batch.actions[..., :0])
        noise = torch.randn_like(means) if noise is None else noise
        features = self.features(DECODER, batch.observations)
        actions, action_stds = self.decode(features, means + stds * noise)
        mask = step_mask(batch.actions, batch.lengths)
        divergence = (gaussian_kl(means, stds, 0.0, 1.0) * mask).sum() / mask.sum()
        likelihood = (batch.weights * gaussian_log_prob(batch.actions, actions, action_stds)).sum()
        loss = -likelihood + self.config.embedding_kl_weight * divergence
        mse = masked_mse(batch.actions, actions, mask)
        return loss, {"loss": loss.detach(), "kl_div": divergence.detach(), "mse": mse.detach()}
