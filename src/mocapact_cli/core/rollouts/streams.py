"""Random streams that belong to an episode, not to the place where it runs.

Every episode draws its start, its action noise and what its actor draws from streams of its own, named by the seed and
the episode's key. So the same episodes come out whatever the number of environments, of threads, or the part of a run
that was resumed.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Key = tuple[int, ...]
"""Names an episode among all that share a seed."""

# Last parts of keys. No episode has such a number, so these streams are others than those of episodes' noise.
STARTS = 0xFFFFFFFF
"""Draws where episodes start; stands where an episode's number would."""
RANDOM_ACTIONS = 0xFFFFFFFE
"""Draws an episode's random actions; stands behind its key."""
EMBEDDINGS = 0xFFFFFFFD
"""Draws an episode's embeddings; stands behind its key."""


def stream(seed: int, key: Key) -> np.random.Generator:
    """Return the random stream of `key` under `seed`."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *key])))


def text_key(text: str) -> int:
    """Return a number for a name such as a snippet's, the same in every process."""
    return zlib.crc32(text.encode())


class EpisodeStreams:
    """The streams of the episodes that run, each kept only as long as its episode runs.

    Args:
        seed: Of all streams.
        key_of: Gives the key of an episode by its number.
        purpose: What they draw, such as `RANDOM_ACTIONS`; the last part of their keys.
    """

    def __init__(self, seed: int, key_of: Callable[[int], Key], purpose: int) -> None:
        self._seed, self._key_of, self._purpose = seed, key_of, purpose
        self._open: dict[int, np.random.Generator] = {}

    def __getitem__(self, index: int) -> np.random.Generator:
        return self._open[index]

    def follow(self, episodes: NDArray[np.int64]) -> list[int]:
        """Keep the streams of the episodes (N,) that run now, -1 for none, and open those of new ones.

        Returns:
            Numbers of the new ones.
        """
        running = episodes[episodes >= 0].tolist()
        new = [index for index in running if index not in self._open]
        opened = {index: stream(self._seed, (*self._key_of(index), self._purpose)) for index in new}
        self._open = {index: self._open[index] for index in running if index in self._open} | opened
        return new
