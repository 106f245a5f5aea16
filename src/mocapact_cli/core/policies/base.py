"""What every policy offers, whatever network it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.errors import UsageError

Float32Array = NDArray[np.float32]
Observations = Mapping[str, NDArray[np.floating]] | NDArray[np.floating]
"""Arrays by observable name (B, size), or one flat array (B, P) in the policy's own order."""


class Policy(Protocol):
    """Acts in B environments at once.

    Attributes:
        observables: Names of what it sees, in the order of its flat observations.
        ref_steps: Steps ahead at which its reference observables look.
    """

    observables: tuple[str, ...]
    ref_steps: tuple[int, ...]

    def predict(
        self, observations: Observations, state: Any = None, deterministic: bool = True
    ) -> tuple[Float32Array, Any]:
        """Return the actions (B, 56) for `observations` and the state to hand to the next call."""


@runtime_checkable
class Remembering(Protocol):
    """A policy whose state belongs to an episode."""

    def reset_state(self, state: Any, started: NDArray[np.bool_], deterministic: bool = True) -> Any:
        """Return `state` with the initial one where an episode has `started` (B,)."""


def flatten(observations: Observations, observables: tuple[str, ...]) -> Float32Array:
    """Return observations as one flat float32 array (B, P), or (P,) for a single environment.

    Raises:
        UsageError: An observable is missing.
    """
    if not isinstance(observations, Mapping):
        return np.asarray(observations, dtype=np.float32)
    missing = [name for name in observables if name not in observations]
    if missing:
        raise UsageError(f"The observations lack {', '.join(missing)}.", hint="The policy needs all its `observables`.")
    return np.concatenate([np.asarray(observations[name], dtype=np.float32) for name in observables], axis=-1)
