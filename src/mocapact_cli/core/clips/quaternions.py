"""Unit quaternions, scalar first, over arrays (..., 4)."""

from __future__ import annotations

import numpy as np

from mocapact_cli.core.clips.clip import FloatArray


def multiply(a: FloatArray, b: FloatArray) -> FloatArray:
    """(..., 4) product: the rotation ``b`` followed by ``a``."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def about(axis: int, angles: FloatArray) -> FloatArray:
    """(N, 4) rotations by ``angles`` (N,) about the x (0), y (1) or z (2) axis."""
    result = np.zeros((len(angles), 4))
    result[:, 0], result[:, axis + 1] = np.cos(angles / 2.0), np.sin(angles / 2.0)
    return result


def normalized(quaternions: FloatArray) -> FloatArray:
    """(..., 4) of unit length."""
    return np.asarray(quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True))


def continuous(quaternions: FloatArray) -> FloatArray:
    """(N, 4) the same rotations with signs chosen so that neighbours are on the same side."""
    flips = np.sum(quaternions[1:] * quaternions[:-1], axis=1) < 0.0
    signs = np.concatenate([[1.0], np.where(np.cumsum(flips) % 2, -1.0, 1.0)])
    return np.asarray(quaternions * signs[:, None])


def slerp(quaternions: FloatArray, frames: FloatArray) -> FloatArray:
    """(M, 4) rotations at fractional frames on the great arcs between neighbours.

    Args:
        quaternions: (N, 4) continuous, N at least 2.
        frames: (M,) positions between 0 and N - 1.
    """
    left = np.clip(np.floor(frames).astype(np.intp), 0, len(quaternions) - 2)
    t = (frames - left)[:, None]
    a, b = quaternions[left], quaternions[left + 1]
    angle = np.arccos(np.clip(np.sum(a * b, axis=1, keepdims=True), -1.0, 1.0))
    tiny = angle < 1e-6
    sine = np.where(tiny, 1.0, np.sin(angle))
    weight_a = np.where(tiny, 1.0 - t, np.sin((1.0 - t) * angle) / sine)
    weight_b = np.where(tiny, t, np.sin(t * angle) / sine)
    return normalized(weight_a * a + weight_b * b)


def angles_between(quaternions: FloatArray) -> FloatArray:
    """(N - 1,) radians from each rotation to the next."""
    dots = np.abs(np.sum(quaternions[1:] * quaternions[:-1], axis=1))
    return np.asarray(2.0 * np.arccos(np.clip(dots, 0.0, 1.0)))
