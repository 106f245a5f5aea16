"""How much each sample counts in policy distillation: BC, CWR, AWR and RWR (Wagener et al., MoCapAct, 2022)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    FloatArray = NDArray[np.floating]


def weight_offset(values: FloatArray, temperature: float) -> float:
    """The offset with which `exp((values - offset) / temperature)` is one on average; zero where that is endless."""
    if temperature == math.inf:
        return 0.0
    from scipy.special import logsumexp

    return float(temperature * logsumexp(values / temperature - np.log(values.size)))


@dataclass(frozen=True)
class Weighting:
    """A rule that gives every sample a weight.

    Attributes:
        temperature: Infinity for equal weights (BC).
        clip_weighted: By the mean normalized return of the sample's snippet (CWR) instead of by the sample.
        advantage_weights: By the sample's advantage (AWR) instead of by value plus advantage (RWR).
        max_weight: No weight is above this.
    """

    temperature: float = math.inf
    clip_weighted: bool = False
    advantage_weights: bool = True
    max_weight: float = math.inf

    @property
    def equal(self) -> bool:
        """Whether every sample counts alike."""
        return self.temperature == math.inf

    def of_snippet(self, mean_return: float, offset: float) -> float:
        """The weight of all samples of a snippet under CWR."""
        return float(np.minimum(np.exp((np.float64(mean_return) - offset) / self.temperature), self.max_weight))

    def of_samples(self, energies: FloatArray, offset: float, *, precise: bool) -> NDArray[np.float32]:
        """The weights (n,) of samples with these advantages, or values plus advantages, (n,).

        Args:
            energies: (n,) in float32.
            offset: From `weight_offset`.
            precise: Compute in float64, as the original does for single steps; for sequences it uses float32.
        """
        kind = np.dtype(np.float64 if precise else np.float32)
        shifted = np.subtract(energies, np.asarray(offset, kind), dtype=kind)
        weights = np.exp(np.divide(shifted, np.asarray(self.temperature, kind), dtype=kind))
        return np.asarray(np.minimum(weights, self.max_weight), dtype=np.float32)


@dataclass(frozen=True)
class Offsets:
    """What the weights of a dataset are measured from.

    Attributes:
        snippet_return: Of the snippets' mean normalized returns.
        advantage: Of all advantages.
        q_value: Of all values plus advantages.
    """

    snippet_return: float
    advantage: float
    q_value: float

    @classmethod
    def of_dataset(
        cls,
        returns: Mapping[str, float],
        values: Mapping[str, FloatArray],
        advantages: Mapping[str, FloatArray],
        temperature: float,
    ) -> Offsets:
        """The offsets of a dataset's metrics, each a mapping by snippet."""
        advantage, value = (np.concatenate(list(part.values())) for part in (advantages, values))
        return cls(
            snippet_return=weight_offset(np.array(list(returns.values())), temperature),
            advantage=weight_offset(advantage, temperature),
            q_value=weight_offset(value + advantage, temperature),
        )
