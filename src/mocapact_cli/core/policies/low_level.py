"""The low-level policy: what is left of a policy when the reference and its encoder are taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.embedding import EmbeddingPolicy
from mocapact_cli.core.sim.observables import OBSERVABLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mocapact_cli.core.policies.base import Float32Array, Observations

MAX_EMBED = 3.0
"""Limit of embeddings in the published transfer tasks."""


class LowLevelPolicy:
    """Acts on proprioception and an embedding that says what to do, in B environments at once.

    Attributes:
        policy: The policy that its decoder is of.
        observables: What it sees, in the order of its flat observations.
        embed_size: E, columns of an embedding.
        max_embed: Limit of an embedding's columns; None for none.

    Args:
        policy: A policy with an embedding (NPMP, MCP, hierarchical), ours or a published one.
        max_embed: Embeddings are clipped to plus and minus this; None leaves them as they are.

    Raises:
        UsageError: The policy has no embedding, or its decoder sees the reference.
    """

    def __init__(self, policy: object, *, max_embed: float | None = MAX_EMBED) -> None:
        self.policy = embedding_policy(policy)
        self.observables = self.policy.low_level_observables
        self.embed_size = self.policy.embed_size
        self.max_embed = max_embed
        seen = [name for name in self.observables if OBSERVABLES[name].per_reference_step]
        if seen:
            raise UsageError(
                f"The decoder of this policy sees {seen[0]}, so it cannot act without a reference.",
                hint="Train it with decoder_observables that the body alone provides.",
            )

    def act(self, observations: Observations, embeddings: NDArray[np.floating]) -> Float32Array:
        """Return the mean actions (B, 56) in [-1, 1].

        Args:
            observations: By name, or flat (B, C) in the order of `observables`.
            embeddings: (B, E) what to do.

        Raises:
            UsageError: An observable is missing, or columns are not as many as they should be.
        """
        limit = self.max_embed
        wanted = embeddings if limit is None else np.clip(embeddings, -limit, limit)
        return self.policy.low_level(observations, wanted)


def embedding_policy(
    policy: object, *, hint: str = "Give an npmp, mcp or hierarchical one (`distill train`)."
) -> EmbeddingPolicy:
    """Return the policy, known to have an embedding.

    Raises:
        UsageError: It has none; the `hint` says what to do then.
    """
    if not isinstance(policy, EmbeddingPolicy):
        raise UsageError(f"This policy ({getattr(policy, 'model', 'expert')}) has no embedding.", hint=hint)
    return policy
