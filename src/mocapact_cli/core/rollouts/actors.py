"""Who acts in a batch of environments: one policy everywhere, or each snippet's own expert."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.policies.base import Remembering
from mocapact_cli.core.policies.row_blocks import pad_rows
from mocapact_cli.core.walker.model import NUM_JOINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.envs.batch import TrackingBatch
    from mocapact_cli.core.policies.base import Policy
    from mocapact_cli.core.rollouts.supply import SeeingExpert

    Float32Array = NDArray[np.float32]

_ROWS_A_CALL = 32
"""Rows that one thread evaluates at a time: enough to make good use of the weights that are read."""


class PolicyActor:
    """One policy that acts in all environments; what it remembers of an episode is forgotten with the episode.

    Args:
        policy: The policy.
        batch: The environments; they show at least what the policy sees.
        deterministic: Whether the policy draws nothing.

    Raises:
        UsageError: The policy sees something of another size.
    """

    def __init__(self, policy: Policy, batch: TrackingBatch, *, deterministic: bool = True) -> None:
        self._policy, self._deterministic = policy, deterministic
        self._columns = seen_columns(policy.observables, batch, policy.ref_steps)
        self._state: Any = None
        self._episodes: NDArray[np.int64] | None = None

    @property
    def state(self) -> Any:
        """What the policy remembers after the last call; its first N rows are the environments'."""
        return self._state

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        """Return the policy's actions (N, A)."""
        seen = observations if self._columns is None else observations[:, self._columns]
        rows = pad_rows(seen)
        self._forget(episodes, len(rows))
        actions, self._state = self._policy.predict(rows, self._state, deterministic=self._deterministic)
        return actions[: len(seen)]

    def _forget(self, episodes: NDArray[np.int64], rows: int) -> None:
        """Begin anew where an environment is in another episode than at the last call; padding never is."""
        if self._state is not None and self._episodes is not None and isinstance(self._policy, Remembering):
            started = np.zeros(rows, dtype=np.bool_)
            started[: len(episodes)] = episodes != self._episodes
            self._state = self._policy.reset_state(self._state, started, self._deterministic)
        self._episodes = episodes.copy()


class ExpertsActor:
    """Each snippet's own expert acts in the environments that track it, on several threads at once.

    Args:
        expert: Gives the expert of a snippet's index, and what it sees of the observations.
        snippets_of: Gives the snippets (N,) of planned episodes (N,); negative for -1.
        threads: Threads that evaluate networks; PyTorch should have one thread in each.
    """

    def __init__(
        self,
        expert: Callable[[int], SeeingExpert],
        snippets_of: Callable[[NDArray[np.int64]], NDArray[np.int64]],
        *,
        threads: int = 1,
    ) -> None:
        self._expert, self._snippets_of = expert, snippets_of
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="networks")

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        """Return the experts' mean actions (N, A), not clipped; zero where there is no episode."""
        tracked = self._snippets_of(episodes)
        groups = [(int(snippet), np.flatnonzero(tracked == snippet)) for snippet in np.unique(tracked[tracked >= 0])]
        parts = [
            (self._expert(snippet), rows[first : first + _ROWS_A_CALL])
            for snippet, rows in groups
            for first in range(0, len(rows), _ROWS_A_CALL)
        ]
        means = np.zeros((len(observations), NUM_JOINTS), dtype=np.float32)
        for (_, rows), acted in zip(
            parts, self._pool.map(lambda part: part[0].means(observations[part[1]]), parts), strict=True
        ):
            means[rows] = acted
        return means

    def close(self) -> None:
        """Release the threads."""
        self._pool.shutdown()

    def __enter__(self) -> ExpertsActor:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def seen_columns(
    observables: Sequence[str], batch: TrackingBatch, ref_steps: Sequence[int]
) -> NDArray[np.integer] | None:
    """Return the columns of a batch's observations that hold `observables`; None where they are all, in order.

    Args:
        observables: What is seen.
        batch: The environments.
        ref_steps: Steps ahead that are seen of those observables that look ahead.
    """
    columns = batch.layout.columns(observables, ref_steps)
    return None if np.array_equal(columns, np.arange(batch.layout.size)) else columns
