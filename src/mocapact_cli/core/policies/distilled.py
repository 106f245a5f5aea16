"""What all policies for many clips share: observations in, actions out, a state in between, and a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.base import Float32Array, Observations, flatten
from mocapact_cli.core.policies.features import Features
from mocapact_cli.core.policies.networks import check_widths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from mocapact_cli.core.policies.losses import Metrics, TrainingBatch


@dataclass(frozen=True)
class PolicyConfig:
    """What every model's configuration has; all of it is plain values."""

    ref_steps: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Steps ahead at which reference observables look."""
    act_size: int = 56
    """Number of actions."""
    std_dev: float = 0.1
    """Standard deviation of the actions' distribution in the loss."""
    squash_output: bool = False
    """Whether tanh keeps the mean actions within their bounds."""
    clip_obs: float | None = 10.0
    """Limit of normalized observations; none for no limit."""

    def __post_init__(self) -> None:
        check_widths(act_size=self.act_size)
        if not self.std_dev > 0.0:
            raise UsageError(f"A standard deviation of {self.std_dev} is impossible.", hint="Give one above zero.")


class DistilledPolicy(nn.Module, ABC):
    """A network that imitates many experts; normalizes observations itself, with statistics among its buffers.

    Attributes:
        model: Name of the model.
        config: What it was built from.
        features: Picks and normalizes observations.
        observables: Names of what it sees, in the order of its flat observations.
        ref_steps: Steps ahead at which its reference observables look.
        sums_over_batch: Whether the loss adds up the weighted log-probabilities of a batch instead of averaging them.

    Args:
        config: Its configuration.
        views: Name of each of its parts -> the observables it sees.
    """

    model: ClassVar[str]
    sums_over_batch: ClassVar[bool] = False
    config: PolicyConfig

    def __init__(self, config: PolicyConfig, views: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.config = config
        self.features = Features(views, config.ref_steps, clip=config.clip_obs)
        self.observables = self.features.layout.names
        self.ref_steps = config.ref_steps
        self._rng = np.random.default_rng()

    @property
    def window(self) -> int:
        """Steps of a training sample; 1 where samples are single steps."""
        return 1

    @property
    def obs_size(self) -> int:
        """P, columns of a flat observation."""
        return self.features.layout.size

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.features.mean.device

    def set_statistics(self, mean: ArrayLike, var: ArrayLike) -> None:
        """Normalize observations by these means and variances (P,) from now on.

        Raises:
            UsageError: They do not fit.
        """
        self.features.set_statistics(mean, var)

    def seed(self, seed: int) -> None:
        """Fix what `predict(..., deterministic=False)` and random initial states draw."""
        self._rng = np.random.default_rng(seed)

    @abstractmethod
    def loss(self, batch: TrainingBatch) -> tuple[Tensor, Metrics]:
        """Return the loss of a batch, a scalar, and detached scalars to log.

        Raises:
            UsageError: The batch has other observations, or single steps where windows are needed.
        """

    @abstractmethod
    def step(self, observations: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Act deterministically on the device: flat observations (B, P) and state in, mean actions and state out."""

    def initial_state(self, batch_size: int, deterministic: bool = True) -> Any:  # noqa: ARG002
        """Return the state of B environments before their first step; None for models without one."""
        return None

    def reset_state(self, state: Any, started: NDArray[np.bool_], deterministic: bool = True) -> Any:  # noqa: ARG002
        """Return `state` with the initial one where an episode has `started` (B,); the given one stays as it is."""
        return state

    def parameter_groups(self, weight_decay: float = 0.0) -> list[dict[str, Any]]:
        """Return the parameters as an optimizer wants them."""
        return [{"params": list(self.parameters()), "weight_decay": weight_decay}]

    def predict(
        self, observations: Observations, state: Any = None, deterministic: bool = True
    ) -> tuple[Float32Array, Any]:
        """Return the mean actions in [-1, 1], (B, A), and the state for the next call.

        Args:
            observations: By name or flat, (B, P), or (P,) for one environment.
            state: What the last call returned; None at the start of all episodes.
            deterministic: Whether nothing is drawn; otherwise what is random inside the model is (the embedding, the
                dropout of a GPT). The actions are means either way: their noise is the environment's affair.

        Raises:
            UsageError: An observable is missing, or the columns are not the policy's.
        """
        flat = flatten(observations, self.observables)
        if flat.shape[-1:] != (self.obs_size,) or flat.ndim > 2:
            raise UsageError(f"The observations have shape {flat.shape}, the policy sees {self.obs_size} columns.")
        rows = torch.from_numpy(np.ascontiguousarray(np.atleast_2d(flat))).to(self.device)
        with torch.inference_mode():
            actions, state = self._act(rows, state, deterministic)
        clipped = actions.float().clamp(-1.0, 1.0).cpu().numpy()
        return (clipped if flat.ndim == 2 else clipped[0]), state

    def _act(self, rows: Tensor, state: Any, deterministic: bool) -> tuple[Tensor, Any]:  # noqa: ARG002
        return self.step(rows)[0], state


def check_state(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Raise a `UsageError` unless a state has the wanted shape."""
    if shape != wanted:
        raise UsageError(
            f"The state has shape {shape} instead of {wanted}.", hint="Give what the last call returned, or None."
        )
