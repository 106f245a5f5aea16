"""Embeddings over time: drawn from a prior, or between two given ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from mocapact_cli.core.policies.base import Float32Array

_SAME_DIRECTION = 1e-6
"""Sine of the angle below which an arc is a line."""


def prior_path(
    steps: int, size: int, correlation: float, rng: np.random.Generator, *, scale: float = 1.0
) -> Float32Array:
    """Draw embeddings (T, E) from the autoregressive prior, z' = a z + sqrt(1 - a^2) e.

    The first one is drawn from the process's stationary distribution, so all have the same spread (Merel et al.,
    "Neural probabilistic motor primitives for humanoid control", ICLR 2019).

    Args:
        steps: T.
        size: E.
        correlation: Of an embedding and the next, the a above, in [0, 1]; 1 keeps the first one.
        rng: Of all draws.
        scale: Standard deviation of every column; 1 under the prior that policies are trained with.

    Raises:
        UsageError: There is no such correlation or scale.
    """
    check_prior(correlation, scale)
    path = scale * rng.standard_normal((steps, size))
    path[1:] *= math.sqrt(1.0 - correlation**2)
    for step in range(1, steps):
        path[step] += correlation * path[step - 1]
    return path.astype(np.float32)


def check_prior(correlation: float, scale: float) -> None:
    """Raise a `UsageError` unless a prior can have this correlation and scale."""
    if not 0.0 <= correlation <= 1.0:
        raise UsageError(f"A correlation of {correlation} is impossible.", hint="Give one from 0 to 1.")
    if not 0.0 <= scale < math.inf:
        raise UsageError(f"A scale of {scale} is impossible.", hint="Give 0 or more; 1 is the prior's own.")


def mix(start: ArrayLike, end: ArrayLike, share: ArrayLike) -> Float32Array:
    """Return embeddings (..., E) between `start` (..., E) and `end` (..., E), along the arc between them.

    Under a prior of unit variance embeddings lie near a sphere; a straight line would leave it. Lengths are mixed
    evenly, directions by the angle (Shoemake, "Animating rotation with quaternion curves", 1985). Where the angle is
    zero or straight, or an embedding is zero, the arc is a line.

    Args:
        start: Where to begin.
        end: Where to go.
        share: (...) how much of the way; 0 is `start`, 1 is `end`.
    """
    first, last = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    part = np.asarray(share, dtype=np.float64)[..., None]
    lengths = [np.linalg.norm(values, axis=-1, keepdims=True) for values in (first, last)]
    product = lengths[0] * lengths[1]
    cosine = (first * last).sum(-1, keepdims=True) / np.where(product > 0.0, product, 1.0)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    bent = (product > 0.0) & (np.sin(angle) > _SAME_DIRECTION)
    units = [
        values / np.where(length > 0.0, length, 1.0) for values, length in zip((first, last), lengths, strict=True)
    ]
    arc = np.sin((1.0 - part) * angle) * units[0] + np.sin(part * angle) * units[1]
    radius = (1.0 - part) * lengths[0] + part * lengths[1]
    curved = radius * arc / np.where(bent, np.sin(angle), 1.0)
    return np.where(bent, curved, (1.0 - part) * first + part * last).astype(np.float32)


def interpolate(start: NDArray[np.floating], end: NDArray[np.floating], count: int) -> Float32Array:
    """Return `count` embeddings (count, E) from `start` (E,) to `end` (E,), evenly along the arc of `mix`."""
    return mix(start, end, np.linspace(0.0, 1.0, count))
