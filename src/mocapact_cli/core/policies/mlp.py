"""The simplest policy for many clips: one perceptron from observations to mean actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mocapact_cli.core.policies.distilled import DistilledPolicy, PolicyConfig
from mocapact_cli.core.policies.losses import gaussian_log_prob, masked_mse, step_mask
from mocapact_cli.core.policies.networks import activation_name, check_widths, mlp
from mocapact_cli.core.sim.observables import HIGH_LEVEL

if TYPE_CHECKING:
    from torch import Tensor

    from mocapact_cli.core.policies.losses import Metrics, TrainingBatch

_ALL = "policy"


@dataclass(frozen=True)
class MlpConfig(PolicyConfig):
    """A perceptron over one list of observables."""

    observables: tuple[str, ...] = HIGH_LEVEL
    """What it sees: the reference, or the time in the clip."""
    layers: tuple[int, ...] = (1024, 1024, 1024)
    """Widths of the hidden layers."""
    activation: str = "Tanh"
    """Name of the activation."""
    layer_norm: bool = False
    """Whether hidden layers are normalized."""
    squash_output: bool = True
    """Whether tanh keeps the mean actions within their bounds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_widths(layers=self.layers)
        activation_name(self.activation)


class MlpPolicy(DistilledPolicy):
    """A perceptron that sees the reference (`HIGH_LEVEL`) or the time in the clip (`TIME_INDEX`)."""

    model = "mlp"
    sums_over_batch = True
    config: MlpConfig

    def __init__(self, config: MlpConfig) -> None:
        super().__init__(config, {_ALL: config.observables})
        self.mlp = mlp(
            self.obs_size,
            config.layers,
            config.act_size,
            config.activation,
            layer_norm=config.layer_norm,
            squash=config.squash_output,
        )

    def forward(self, observations: Tensor) -> Tensor:
        """Return the mean actions (..., A) for observations (..., P) that are not normalized."""
        return cast("Tensor", self.mlp(self.features(_ALL, observations)))

    def loss(self, batch: TrainingBatch) -> tuple[Tensor, Metrics]:
        """Return the negative weighted log-probability, summed over the batch as the original does."""
        means = cast("Tensor", self.mlp(self.features(_ALL, batch.observations)))
        loss = -(batch.weights * gaussian_log_prob(batch.actions, means, self.config.std_dev)).sum()
        mask = step_mask(batch.actions, batch.lengths)
        return loss, {"loss": loss.detach(), "mse": masked_mse(batch.actions, means, mask).detach()}

    def step(self, observations: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Return the mean actions (B, A)."""
        return (self(observations), *state)
