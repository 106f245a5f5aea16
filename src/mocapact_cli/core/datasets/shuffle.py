"""Random orders of any number of items that take no memory and can be entered anywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 6


class Permutation:
    """A pseudo-random order of the numbers 0 ... size - 1, computed where it is asked for.

    A stored permutation of the billion entries of a large dataset would take gigabytes. This one is a balanced Feistel
    network over the next even power of two, walked until it falls inside (Black and Rogaway, "Ciphers with Arbitrary
    Finite Domains", 2002), with the finalizer of SplitMix64 (Steele et al., 2014) as its round function.

    Args:
        size: How many numbers.
        seed: Names the order.
        epoch: Names one of the orders of a seed.
    """

    def __init__(self, size: int, seed: int = 0, epoch: int = 0) -> None:
        self.size = size
        self._half = np.uint64(max(1, (max(size - 1, 1).bit_length() + 1) // 2))
        self._mask = np.uint64((1 << int(self._half)) - 1)
        self._keys = np.random.SeedSequence([seed, epoch]).generate_state(_ROUNDS, np.uint64)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, places: slice) -> NDArray[np.int64]:
        """The numbers at some places of the order."""
        return self.at(np.arange(*places.indices(self.size)))

    def at(self, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """The numbers (k,) at places (k,) of the order."""
        values = self._mixed(np.asarray(places, dtype=np.uint64))
        outside = np.flatnonzero(values >= self.size)
        while outside.size:
            values[outside] = self._mixed(values[outside])
            outside = outside[values[outside] >= self.size]
        return values.astype(np.int64)

    def _mixed(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = values >> self._half, values & self._mask
        for key in self._keys:
            left, right = right, left ^ (_scrambled(right ^ key) & self._mask)
        return (left << self._half) | right


def _scrambled(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
