"""Who acts in a batch of environments: one policy everywhere, or each snippet's own expert."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.envs.batch import TrackingBatch
    from mocapact_cli.core.policies.base import Policy
    from mocapact_cli.core.policies.expert import ExpertPolicy
    from mocapact_cli.core.rollouts.episodes import PlannedEpisode

    Float32Array = NDArray[np.float32]

ROW_BLOCK = 16
"""Networks get a multiple of this many rows.

Matrix products choose their kernels by the number of rows and then differ in the last bit. In whole blocks a row's
result does not depend on the rows around it, so an episode comes out the same in any batch.
"""


class PolicyActor:
    """One policy that acts in all environments.

    Args:
        policy: The policy.
        batch: The environments; they show at least what the policy sees.
    """

    def __init__(self, policy: Policy, batch: TrackingBatch) -> None:
        self._policy = policy
        self._columns = seen_columns(policy.observables, batch)

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:  # noqa: ARG002
        """Return the policy's deterministic actions (N, A)."""
        seen = observations if self._columns is None else observations[:, self._columns]
        return self._policy.predict(pad_rows(seen), deterministic=True)[0][: len(seen)]


class ExpertsActor:
    """Each snippet's own expert acts in the environments that track it.

    Attributes:
        values: (N,) values of the last observations that `means` was asked about, in units of the reward.

    Args:
        experts: One for each snippet of the batch.
        plan: The episodes that run.
        batch: The environments.
    """

    def __init__(self, experts: Sequence[ExpertPolicy], plan: Sequence[PlannedEpisode], batch: TrackingBatch) -> None:
        self._experts = experts
        self._columns = [seen_columns(expert.observables, batch) for expert in experts]
        # The last entry is what an environment without an episode (-1) finds.
        self._snippets = np.array([episode.start.snippet_index for episode in plan] + [-1])
        self.values: Float32Array = np.zeros(batch.num_envs, dtype=np.float32)
        self._means: Float32Array = np.zeros((batch.num_envs, len(experts[0].std)), dtype=np.float32)

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        """Return the experts' mean actions (N, A); zero where there is no episode."""
        tracked = self._snippets[episodes]
        self._means[:], self.values[:] = 0.0, 0.0
        for snippet in np.unique(tracked[tracked >= 0]):
            rows, columns = np.flatnonzero(tracked == snippet), self._columns[snippet]
            seen = observations[rows] if columns is None else observations[rows[:, None], columns]
            means, values = self._experts[snippet].evaluate(pad_rows(seen))
            self._means[rows], self.values[rows] = means[: len(rows)], values[: len(rows)]
        return self._means


def seen_columns(observables: Sequence[str], batch: TrackingBatch) -> NDArray[np.integer] | None:
    """Return the columns of a batch's observations that hold `observables`; None where they are all, in order."""
    return None if tuple(batch.observables) == tuple(observables) else batch.layout.columns(observables)


def pad_rows(rows: Float32Array) -> Float32Array:
    """Return `rows` (n, P) followed by zeros up to a whole number of blocks."""
    missing = -len(rows) % ROW_BLOCK
    return np.pad(rows, ((0, missing), (0, 0))) if missing else rows


@contextlib.contextmanager
def few_torch_threads(physics_threads: int) -> Iterator[None]:
    """Keep PyTorch's threads few inside the block.

    The physics has its own threads on the same cores, and PyTorch's wait for each other by spinning: on busy cores a
    small layer then takes ten times as long on two threads as on one.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, physics_threads // 4)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
