"""Policies that draw their embedding while they act, each episode from a stream of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.policies.row_blocks import pad_rows
from mocapact_cli.core.rollouts.actors import PolicyActor, seen_columns
from mocapact_cli.core.rollouts.streams import EMBEDDINGS, EpisodeStreams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.envs.batch import TrackingBatch
    from mocapact_cli.core.policies.base import Policy
    from mocapact_cli.core.policies.embedding import EmbeddingPolicy
    from mocapact_cli.core.rollouts.episodes import Actor, PlannedEpisode

    Float32Array = NDArray[np.float32]


class SamplingActor:
    """A policy that draws each embedding from what its encoder gives, and the first one from the prior.

    What an episode draws depends on the seed and its key alone, not on the environments beside it.

    Args:
        policy: The policy.
        batch: The environments; they show at least what the policy sees.
        plan: The episodes that run.
        seed: Of all streams.
    """

    def __init__(
        self, policy: EmbeddingPolicy, batch: TrackingBatch, plan: Sequence[PlannedEpisode], seed: int
    ) -> None:
        self._policy = policy
        self._seen = seen_columns(policy.observables, batch, policy.ref_steps)
        self._body = batch.layout.columns(policy.low_level_observables)
        self._streams = EpisodeStreams(seed, lambda index: plan[index].key, EMBEDDINGS)
        self._embeddings: Float32Array = np.zeros((0, policy.embed_size), np.float32)

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        """Return the mean actions (N, A) of the low-level policy for embeddings drawn now."""
        rows = pad_rows(observations)
        self._begin(episodes, len(rows))
        means, stds = self._policy.encode(rows if self._seen is None else rows[:, self._seen], self._embeddings)
        self._embeddings = means + stds * self._draw(episodes, len(rows))
        return self._policy.low_level(rows[:, self._body], self._embeddings)[: len(observations)]

    def _begin(self, episodes: NDArray[np.int64], rows: int) -> None:
        """Draw the embeddings before the first step of the episodes that are new."""
        if len(self._embeddings) != rows:
            self._embeddings = np.zeros((rows, self._policy.embed_size), np.float32)
        for index in self._streams.follow(episodes):
            self._embeddings[np.flatnonzero(episodes == index)] = self._normal(index)

    def _draw(self, episodes: NDArray[np.int64], rows: int) -> Float32Array:
        noise = np.zeros((rows, self._policy.embed_size), np.float32)
        for env in np.flatnonzero(episodes >= 0):
            noise[env] = self._normal(int(episodes[env]))
        return noise

    def _normal(self, index: int) -> Float32Array:
        return self._streams[index].standard_normal(self._policy.embed_size, dtype=np.float32)


def acting(
    policy: Policy, batch: TrackingBatch, plan: Sequence[PlannedEpisode], seed: int, *, stochastic: bool
) -> Actor:
    """Return who acts with a policy: deterministically, or drawing its embedding.

    Raises:
        UsageError: It is to draw but has no embedding.
    """
    return SamplingActor(drawable(policy), batch, plan, seed) if stochastic else PolicyActor(policy, batch)


def drawable(policy: Policy) -> EmbeddingPolicy:
    """Return the same policy, which has an embedding to draw.

    Raises:
        UsageError: It has none.
    """
    # Late, because experts are evaluated without what policies for many clips need.
    from mocapact_cli.core.policies.low_level import embedding_policy

    return embedding_policy(policy, hint="Its actions are always the same: leave out --stochastic.")
