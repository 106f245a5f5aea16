"""NPMP: a recurrent stochastic encoder with an autoregressive prior, and a perceptron as its decoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mocapact_cli.core.policies.embedding import DECODER, EmbeddingConfig, EmbeddingPolicy
from mocapact_cli.core.policies.networks import check_widths, mlp


@dataclass(frozen=True)
class NpmpConfig(EmbeddingConfig):
    """Neural probabilistic motor primitives; the defaults are the paper's for all clips."""

    decoder_layers: tuple[int, ...] = (1024, 1024, 1024)
    """Widths of the decoder's hidden layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_widths(decoder_layers=self.decoder_layers)


class NpmpPolicy(EmbeddingPolicy):
    """Neural probabilistic motor primitives."""

    model = "npmp"
    config: NpmpConfig

    def __init__(self, config: NpmpConfig) -> None:
        super().__init__(config)
        self.action_decoder = mlp(
            self.features.size(DECODER) + config.embed_size,
            config.decoder_layers,
            config.act_size,
            config.activation,
            layer_norm=config.layer_norm,
            squash=config.squash_output,
        )

    def decode(self, features: Tensor, embeddings: Tensor) -> tuple[Tensor, float]:
        """Return mean actions (..., A) and their standard deviation, which is always the same."""
        return self.action_decoder(torch.cat([features, embeddings], dim=-1)), self.config.std_dev
