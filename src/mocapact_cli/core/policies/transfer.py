"""A policy for a task that acts through a low-level policy: it says what to do, the low-level policy does it."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.base import Float32Array, Observations, flatten
from mocapact_cli.core.policies.columns import column_sizes

if TYPE_CHECKING:
    import torch

    from mocapact_cli.core.policies.expert import ExpertPolicy
    from mocapact_cli.core.policies.low_level import LowLevelPolicy


class TransferPolicy:
    """Acts in B environments at once: observations to embeddings, observations and embeddings to actions.

    Attributes:
        high_level: The actor and critic; its actions are embeddings.
        low_level: What acts on them.
        observables: What both see, in the order of a flat observation: first what the high level sees.
        columns: Numbers of the columns that the low level sees.

    Args:
        high_level: An actor and critic of the task.
        low_level: A decoder for its embeddings.

    Raises:
        UsageError: The embeddings of the two differ in size, or the low level needs what the high level does not see.
    """

    model: ClassVar[str] = "transfer"

    def __init__(self, high_level: ExpertPolicy, low_level: LowLevelPolicy) -> None:
        if len(high_level.std) != low_level.embed_size:
            raise UsageError(
                f"The policy gives {len(high_level.std)} numbers, its low-level policy takes {low_level.embed_size}.",
                hint="They belong to different runs.",
            )
        unseen = [name for name in low_level.observables if name not in high_level.observables]
        if unseen:
            raise UsageError(f"The low-level policy needs {', '.join(unseen)}, which the task's policy does not see.")
        self.high_level, self.low_level = high_level, low_level
        self.observables, self.ref_steps = high_level.observables, high_level.ref_steps
        sizes = column_sizes(self.observables, self.ref_steps, self.obs_size)
        parts = dict(zip(self.observables, pairwise(accumulate(sizes, initial=0)), strict=True))
        self.columns = np.concatenate([np.arange(*parts[name]) for name in low_level.observables])

    @property
    def obs_size(self) -> int:
        """P, columns of a flat observation."""
        return self.high_level.obs_size

    @property
    def act_size(self) -> int:
        """A, number of actions."""
        return self.low_level.policy.config.act_size

    @property
    def device(self) -> torch.device:
        """Where the networks run."""
        return self.high_level.device

    def predict(
        self, observations: Observations, state: Any = None, deterministic: bool = True
    ) -> tuple[Float32Array, Any]:
        """Return the actions in [-1, 1], (B, A), and `state` as it came (there is none).

        Args:
            observations: By name or flat, (B, P), or (P,) for one environment.
            state: Ignored.
            deterministic: Whether to act on the mean embedding; otherwise on one drawn around it.
        """
        flat = flatten(observations, self.observables)
        rows = np.atleast_2d(flat)
        actions = self.low_level.act(rows[:, self.columns], self.embeddings(rows, deterministic))
        return (actions if flat.ndim == 2 else actions[0]), state

    def embeddings(self, observations: Observations, deterministic: bool = True) -> Float32Array:
        """Return what the low-level policy is told, (B, E), within the limit of embeddings."""
        drawn = self.high_level.draw(observations, deterministic)
        limit = self.low_level.max_embed
        return drawn if limit is None else np.clip(drawn, -limit, limit)

    def values(self, observations: Observations) -> Float32Array:
        """Return the values (B,) in units of the environment's reward."""
        return self.high_level.values(observations)
