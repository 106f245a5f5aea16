"""MCP: the decoder is a product of Gaussian primitives, each raised to a power that a gate gives it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mocapact_cli.core.policies.embedding import DECODER, EmbeddingConfig, EmbeddingPolicy
from mocapact_cli.core.policies.networks import check_widths, hidden_layers, mlp

if TYPE_CHECKING:
    from mocapact_cli.core.policies.losses import Metrics


@dataclass(frozen=True)
class McpConfig(EmbeddingConfig):
    """Multiplicative compositional policies."""

    embedding_correlation: float = 0.95
    """Correlation of an embedding and the next in the prior, which is always of unit variance."""
    n_primitives: int = 8
    """Number of primitives."""
    gating_layers: tuple[int, ...] = (512, 512)
    """Widths of the gate's hidden layers."""
    shared_layers: tuple[int, ...] = (512, 512)
    """Widths of the layers that all primitives share."""
    primitive_layers: tuple[int, ...] = (512,)
    """Widths of each primitive's own hidden layers."""
    min_primitive_std: float = 0.01
    """Least standard deviation of a primitive."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_widths(
            n_primitives=self.n_primitives,
            gating_layers=self.gating_layers,
            shared_layers=self.shared_layers,
            primitive_layers=self.primitive_layers,
        )


class Primitives(nn.Module):
    """Gaussian policies over proprioception that share their first layers.

    Args:
        inputs: Columns of proprioception.
        config: The sizes.
    """

    def __init__(self, inputs: int, config: McpConfig) -> None:
        super().__init__()
        sizes = [inputs, *config.shared_layers]
        self.shared_net = nn.Sequential(*hidden_layers(sizes, config.activation, layer_norm=config.layer_norm))
        self.primitive_nets = nn.ModuleList(
            mlp(
                sizes[-1],
                config.primitive_layers,
                2 * config.act_size,
                config.activation,
                layer_norm=config.layer_norm,
            )
            for _ in range(config.n_primitives)
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log standard deviations (..., primitives, A)."""
        shared = self.shared_net(features)
        outputs = torch.stack([primitive(shared) for primitive in self.primitive_nets], dim=-2)
        means, log_stds = outputs.chunk(2, dim=-1)
        return means, log_stds


class McpPolicy(EmbeddingPolicy):
    """The encoder and prior of the NPMP with a decoder of gated primitives."""

    model = "mcp"
    config: McpConfig

    def __init__(self, config: McpConfig) -> None:
        super().__init__(config)
        inputs = self.features.size(DECODER)
        self.gating_net = mlp(
            inputs + config.embed_size,
            config.gating_layers,
            config.n_primitives,
            config.activation,
            layer_norm=config.layer_norm,
        )
        self.primitives = Primitives(inputs, config)

    def decode(self, features: Tensor, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and standard deviations (..., A) of the primitives' weighted product."""
        scores, means = self._scores(features, embeddings)
        actions = (scores.softmax(dim=-2) * means).sum(-2)
        bounded = actions.tanh() if self.config.squash_output else actions
        return bounded, (-scores.logsumexp(dim=-2)).exp()

    def diagnose(self, features: Tensor, embeddings: Tensor) -> Metrics:
        """Return how evenly the primitives are used: 1 where all have the same share, 0 where one does everything."""
        shares = self.primitive_weights(features, embeddings)
        entropy = torch.special.entr(shares).sum(-2).mean() / math.log(max(self.config.n_primitives, 2))
        return {"primitive_weights_entropy": entropy}

    def primitive_weights(self, features: Tensor, embeddings: Tensor) -> Tensor:
        """Return each primitive's share (..., primitives, A) of each action."""
        return self._scores(features, embeddings)[0].softmax(dim=-2)

    def _scores(self, features: Tensor, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        gates = self.gating_net(torch.cat([features, embeddings], dim=-1))
        means, log_stds = self.primitives(features)
        return gates.unsqueeze(-1) - log_stds.clamp(min=math.log(self.config.min_primitive_std)), means
