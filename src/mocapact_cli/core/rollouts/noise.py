"""Gaussian noise on the actions of episodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.rollouts.streams import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.rollouts.streams import Key


class EpisodeNoise:
    """Gaussian action noise for N environments, each drawing from the stream of its current episode.

    Args:
        num_envs: N.
        max_steps: Length of the longest episode.
        act_size: Number of actions.
        scale: Standard deviation; 0 for none.
        seed: Of all streams.
        first_step: Step of every episode from which on there is noise.
    """

    def __init__(
        self, num_envs: int, max_steps: int, act_size: int, *, scale: float, seed: int, first_step: int = 0
    ) -> None:
        self._scale, self._seed, self._first_step = np.float32(scale), seed, first_step
        steps = max_steps if scale > 0 else 0
        self._drawn: NDArray[np.float32] = np.zeros((num_envs, steps, act_size), dtype=np.float32)

    def begin(self, envs: Sequence[int], keys: Sequence[Key]) -> None:
        """Draw the noise of the episodes that begin in `envs`."""
        if self._scale == 0:
            return
        for env, key in zip(envs, keys, strict=True):
            stream(self._seed, key).standard_normal(dtype=np.float32, out=self._drawn[env])
            self._drawn[env, : self._first_step] = 0.0

    def add(self, means: NDArray[np.float32], steps: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return actions (N, A) in [-1, 1]: `means` plus the noise for step `steps[n]` of environment n's episode."""
        noisy = means if self._scale == 0 else means + self._scale * self._drawn[np.arange(len(means)), steps]
        return np.asarray(np.clip(noisy, -1.0, 1.0), dtype=np.float32)
