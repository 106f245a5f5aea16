"""Quaternions over arrays (..., 4), scalar first, with the conventions of MuJoCo and dm_control."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_CONJUGATION: FloatArray = np.array([1.0, -1.0, -1.0, -1.0])


def quat_mul(left: FloatArray, right: FloatArray) -> FloatArray:
    """Hamilton product of (..., 4) quaternions; leading dimensions broadcast."""
    w1, x1, y1, z1 = (left[..., i] for i in range(4))
    w2, x2, y2, z2 = (right[..., i] for i in range(4))
    out = np.empty(np.broadcast_shapes(left.shape, right.shape))
    out[..., 0] = w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2
    out[..., 1] = w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2
    out[..., 2] = w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2
    out[..., 3] = w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2
    return out


def quat_conj(quat: FloatArray) -> FloatArray:
    """Conjugate of (..., 4) quaternions: the inverse of unit ones."""
    return np.asarray(quat * _CONJUGATION)


def quat_diff(source: FloatArray, target: FloatArray) -> FloatArray:
    """Rotation (..., 4) from `source` to `target`, in the source's frame."""
    return quat_mul(quat_conj(source), target)


def quat_to_mat(quat: FloatArray) -> FloatArray:
    """Rotation matrices (..., 3, 3) of (..., 4) quaternions, which need not be normalized."""
    w, x, y, z = (quat[..., i] for i in range(4))
    scale = 2.0 / np.sum(quat * quat, axis=-1)
    rows = [
        1.0 - scale * (y * y + z * z), scale * (x * y - w * z), scale * (x * z + w * y),
        scale * (x * y + w * z), 1.0 - scale * (x * x + z * z), scale * (y * z - w * x),
        scale * (x * z - w * y), scale * (y * z + w * x), 1.0 - scale * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(rows, axis=-1).reshape(*quat.shape[:-1], 3, 3)


def quat_to_axisangle(quat: FloatArray) -> FloatArray:
    """Rotation vectors (..., 3) in radians, angle in (-pi, pi]; zero below dm_control's tolerance of 1e-10."""
    angle = 2.0 * np.arccos(np.clip(quat[..., 0], -1.0, 1.0))
    small = angle < 1e-10
    sine = np.where(small, 1.0, np.sin(angle / 2.0))
    wrapped = np.where(small, 0.0, (angle + np.pi) % (2.0 * np.pi) - np.pi)
    return quat[..., 1:] / sine[..., None] * wrapped[..., None]


def bounded_quat_dist(source: FloatArray, target: FloatArray) -> FloatArray:
    """Angle (...) between unit quaternions (..., 4) in radians, at most pi/2 (dm_control's `bounded_quat_dist`)."""
    cosine = np.einsum("...i,...i->...", source, target)
    return np.asarray(0.5 * np.arccos(np.minimum(1.0, 2.0 * cosine * cosine - 1.0)))


def about(axis: int, angles: FloatArray) -> FloatArray:
    """(N, 4) rotations by `angles` (N,) about the x (0), y (1) or z (2) axis."""
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
