"""Policies with an embedding between them: an encoder says what to do, a decoder (the low-level policy) does it."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.base import flatten
from mocapact_cli.core.policies.distilled import DistilledPolicy, PolicyConfig, check_state
from mocapact_cli.core.policies.losses import gaussian_kl, gaussian_log_prob, masked_mse, step_mask
from mocapact_cli.core.policies.networks import activation_name, check_widths, mlp
from mocapact_cli.core.sim.observables import BASE, HIGH_LEVEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mocapact_cli.core.policies.base import Float32Array, Observations
    from mocapact_cli.core.policies.features import TensorObservations
    from mocapact_cli.core.policies.losses import Metrics, TrainingBatch

ENCODER, DECODER = "ref_encoder", "decoder"
"""Names of the views, as in the original's datasets."""
MIN_STD = 1e-5
"""Least standard deviation of an embedding."""


@dataclass(frozen=True)
class EmbeddingConfig(PolicyConfig):
    """An encoder that sees the reference and a decoder that does not."""

    encoder_observables: tuple[str, ...] = HIGH_LEVEL
    """What the reference encoder sees."""
    decoder_observables: tuple[str, ...] = BASE
    """What the decoder sees beside the embedding."""
    embed_size: int = 60
    """Columns of the embedding."""
    encoder_layers: tuple[int, ...] = (1024, 1024)
    """Widths of the reference encoder's hidden layers."""
    activation: str = "ELU"
    """Name of the activation."""
    layer_norm: bool = True
    """Whether hidden layers are normalized."""
    recurrent_encoder: bool = True
    """Whether the encoder sees the previous embedding."""
    embedding_kl_weight: float = 0.1
    """Weight of the embedding's divergence from its prior."""
    embedding_correlation: float = 0.0
    """Correlation of an embedding and the next in the prior, which is always of unit variance."""
    seq_steps: int = 30
    """Steps of a training sample."""

    def __post_init__(self) -> None:
        super().__post_init__()
        activation_name(self.activation)
        check_widths(embed_size=self.embed_size, encoder_layers=self.encoder_layers, seq_steps=self.seq_steps)
        if not 0.0 <= self.embedding_correlation < 1.0:
            raise UsageError(f"A correlation of {self.embedding_correlation} is impossible.", hint="Give 0 to below 1.")

    @property
    def correlation(self) -> float:
        """Correlation of the prior; none where the encoder does not know the previous embedding."""
        return self.embedding_correlation if self.recurrent_encoder else 0.0


class StochasticEncoder(nn.Module):
    """A perceptron that gives means and standard deviations of embeddings, and may see the previous one.

    Args:
        inputs: Columns of its features.
        config: Its sizes.
    """

    def __init__(self, inputs: int, config: EmbeddingConfig) -> None:
        super().__init__()
        self.inputs, self.recurrent = inputs, config.recurrent_encoder
        width = inputs + (config.embed_size if self.recurrent else 0)
        self.encoder = mlp(
            width, config.encoder_layers, 2 * config.embed_size, config.activation, layer_norm=config.layer_norm
        )

    def forward(self, features: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and standard deviations (..., E) for features (..., C) and previous embeddings (..., E)."""
        inputs = torch.cat([features, previous], dim=-1) if self.recurrent else features
        return _mean_and_std(self.encoder(inputs))

    def unroll(self, features: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw the embeddings of whole windows, each given the one before.

        Args:
            features: (B, L, C).
            noise: (L + 1, B, E) standard normal; the first is the embedding before the window.

        Returns:
            Means and standard deviations (B, L, E), and the embeddings (B, L + 1, E) from the first noise on.
        """
        if not self.recurrent:
            means, stds = _mean_and_std(self.encoder(features))
            drawn = means + stds * noise[1:].transpose(0, 1)
            return means, stds, torch.cat([noise[0][:, None], drawn], dim=1)
        # What the first layer makes of the features does not depend on embeddings: one product for all steps.
        first, rest = cast("nn.Linear", self.encoder[0]), self.encoder[1:]
        seen, recalled = first.weight[:, : self.inputs], first.weight[:, self.inputs :]
        hidden = functional.linear(features, seen, first.bias).unbind(1)
        return _unroll(hidden, recalled, rest, noise)


def _unroll(
    hidden: tuple[Tensor, ...], recalled: Tensor, rest: nn.Module, noise: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    embeddings, means, stds = [noise[0]], [], []
    for step, part in enumerate(hidden):
        mean, std = _mean_and_std(rest(part + functional.linear(embeddings[-1], recalled)))
        means.append(mean)
        stds.append(std)
        embeddings.append(mean + std * noise[step + 1])
    return torch.stack(means, 1), torch.stack(stds, 1), torch.stack(embeddings, 1)


def _mean_and_std(output: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_std = output.chunk(2, dim=-1)
    return mean, log_std.exp().clamp(min=MIN_STD)


class EmbeddingPolicy(DistilledPolicy):
    """Encodes what it sees into an embedding, and acts on that and on proprioception alone."""

    config: EmbeddingConfig

    def __init__(self, config: EmbeddingConfig) -> None:
        super().__init__(config, {ENCODER: config.encoder_observables, DECODER: config.decoder_observables})
        self.reference_encoder = StochasticEncoder(self.features.size(ENCODER), config)

    @property
    def embed_size(self) -> int:
        """E, columns of an embedding."""
        return self.config.embed_size

    @property
    def low_level_observables(self) -> tuple[str, ...]:
        """What the low-level policy sees, in the order of its flat observations."""
        return self.config.decoder_observables

    @property
    def window(self) -> int:
        """Steps of a training sample."""
        return self.config.seq_steps

    @abstractmethod
    def decode(self, features: Tensor, embeddings: Tensor) -> tuple[Tensor, Tensor | float]:
        """Return means (..., A) and standard deviations of actions, one for all where they never differ.

        Args:
            features: (..., C) normalized observations of the decoder.
            embeddings: (..., E).
        """

    def diagnose(self, features: Tensor, embeddings: Tensor) -> Metrics:  # noqa: ARG002
        """Return what is worth logging of a decoder at some steps, from the arguments of `decode`."""
        return {}

    def forward(self, observations: TensorObservations, previous: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean actions (..., A) and mean embeddings (..., E), for observations that are not normalized."""
        embeddings, _ = self.reference_encoder(self.features(ENCODER, observations), previous)
        return self.decode(self.features(DECODER, observations), embeddings)[0], embeddings

    def step(self, observations: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Return mean actions (B, A) and embeddings (B, E) for observations and the previous embeddings."""
        actions, embeddings = self(observations, state[0])
        return actions, embeddings

    def draw_noise(self, batch: TrainingBatch, generator: torch.Generator | None = None) -> Tensor:
        """Return standard normal noise (L + 1, B, E) for the loss of a batch."""
        actions = batch.actions
        size = (actions.shape[1] + 1, actions.shape[0], self.embed_size)
        return torch.randn(size, generator=generator, device=actions.device, dtype=actions.dtype)

    def loss(self, batch: TrainingBatch, noise: Tensor | None = None) -> tuple[Tensor, Metrics]:
        """Return the negative weighted log-probability plus the weighted divergence, a mean over steps.

        Args:
            batch: Windows.
            noise: (L + 1, B, E) as `draw_noise` gives it; the first is the embedding before the window.

        Raises:
            UsageError: The batch is of single steps.
        """
        if batch.actions.ndim != 3:
            raise UsageError(f"The model {self.model} learns from windows of steps, not from single ones.")
        noise = self.draw_noise(batch) if noise is None else noise
        features = self.features(ENCODER, batch.observations)
        means, stds, embeddings = self.reference_encoder.unroll(features, noise)
        proprioception = self.features(DECODER, batch.observations)
        actions, action_stds = self.decode(proprioception, embeddings[:, 1:])
        mask = step_mask(batch.actions, batch.lengths)
        steps = mask.sum()
        prior = self.config.correlation * embeddings[:, :-1]
        divergence = (gaussian_kl(means, stds, prior, self._prior_std) * mask).sum() / steps
        likelihood = (batch.weights * gaussian_log_prob(batch.actions, actions, action_stds)).sum() / steps
        loss = -likelihood + self.config.embedding_kl_weight * divergence
        metrics = {
            "loss": loss,
            "weighted_log_prob_loss": -likelihood,
            "kl_div": divergence,
            "mse": masked_mse(batch.actions, actions, mask),
            "embed_delta": ((means - prior).abs().mean(-1) * mask).sum() / steps,
            "embed_delta_std": (stds.mean(-1) * mask).sum() / steps,
            "embed_mean": embeddings.mean(),
            "embed_std": embeddings.std(),
        }
        with torch.no_grad():
            metrics |= self.diagnose(proprioception[:, -1], embeddings[:, -1])
        return loss, {name: value.detach() for name, value in metrics.items()}

    def initial_state(self, batch_size: int, deterministic: bool = True) -> Any:
        """Return the embeddings (B, E) before the first step: zeros, or drawn from the prior."""
        shape = (batch_size, self.embed_size)
        return np.zeros(shape, np.float32) if deterministic else self._rng.standard_normal(shape, np.float32)

    def reset_state(self, state: Any, started: NDArray[np.bool_], deterministic: bool = True) -> Any:
        """Return `state` (B, E) with initial embeddings where an episode has `started` (B,)."""
        if state is None:
            return None
        return np.where(started[:, None], self.initial_state(len(started), deterministic), state)

    def encode(self, observations: Observations, state: Any = None) -> tuple[Float32Array, Float32Array]:
        """Return means and standard deviations (B, E) of the next embeddings.

        Args:
            observations: By name or flat, (B, P); one environment is a batch of one.
            state: (B, E) previous embeddings; None for zeros.
        """
        rows = self._tensor(np.atleast_2d(flatten(observations, self.observables)))
        with torch.inference_mode():
            mean, std = self.reference_encoder(self.features(ENCODER, rows), self._embeddings(state, len(rows), True))
        return mean.cpu().numpy(), std.cpu().numpy()

    def low_level(self, observations: Observations, embeddings: NDArray[np.floating]) -> Float32Array:
        """Return the mean actions (B, A) in [-1, 1] of the low-level policy.

        Args:
            observations: By name, or flat (B, C) in the order of `low_level_observables`.
            embeddings: (B, E) what to do.

        Raises:
            UsageError: An observable is missing, or columns are not as many as they should be.
        """
        rows = self._tensor(flatten(observations, self.low_level_observables))
        wanted = self._tensor(embeddings)
        if rows.shape[-1] != self.features.size(DECODER) or wanted.shape[-1] != self.embed_size:
            sizes = f"{self.features.size(DECODER)} columns and embeddings of {self.embed_size}"
            raise UsageError(f"The low-level policy takes {sizes}, not {rows.shape[-1]} and {wanted.shape[-1]}.")
        with torch.inference_mode():
            actions, _ = self.decode(self.features.normalized(DECODER, rows), wanted)
        return cast("Float32Array", actions.clamp(-1.0, 1.0).cpu().numpy())

    def sample_prior(self, previous: NDArray[np.floating]) -> Float32Array:
        """Draw embeddings (B, E) that follow `previous` ones under the prior."""
        noise = self._rng.standard_normal(np.shape(previous), np.float32)
        return np.asarray(self.config.correlation * previous + self._prior_std * noise, dtype=np.float32)

    @property
    def _prior_std(self) -> float:
        return math.sqrt(1.0 - self.config.correlation**2)

    def _act(self, rows: Tensor, state: Any, deterministic: bool) -> tuple[Tensor, Any]:
        previous = self._embeddings(state, len(rows), deterministic)
        mean, std = self.reference_encoder(self.features(ENCODER, rows), previous)
        if not deterministic:
            mean = mean + std * self._tensor(self._rng.standard_normal(std.shape, np.float32))
        actions, _ = self.decode(self.features(DECODER, rows), mean)
        return actions, mean.cpu().numpy()

    def _embeddings(self, state: Any, count: int, deterministic: bool) -> Tensor:
        given = self.initial_state(count, deterministic) if state is None else state
        check_state(np.shape(given), (count, self.embed_size))
        return self._tensor(given)

    def _tensor(self, values: Any) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values, dtype=np.float32), device=self.device)
