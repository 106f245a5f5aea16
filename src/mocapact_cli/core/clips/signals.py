"""Cleaning of sampled motion: Euler branches, spikes, smoothing, resampling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.clips.clip import FloatArray

BoolArray = NDArray[np.bool_]

_SWITCH_COST = 4.0
"""Frames for which an alternative must violate the limits by as much less as switching to it moves the joint."""


def euler_branches(angles: FloatArray) -> FloatArray:
    """All representations worth considering of rotations Rz Ry Rx.

    A rotation has two solutions (z, y, x) and (z + pi, pi - y, x + pi). Each is given with its angles in (-pi, pi] and
    once more with its largest angle continued past pi, so that a smooth path need not jump by a full turn.

    Args:
        angles: (N, G, 3) angles about z, y and x.

    Returns:
        (N, 4, G, 3).
    """
    other = np.stack([angles[..., 0] + np.pi, np.pi - angles[..., 1], angles[..., 2] + np.pi], axis=-1)
    wrapped = _wrap(np.stack([angles, other], axis=1))
    largest = np.abs(wrapped) >= np.abs(wrapped).max(axis=-1, keepdims=True)
    return np.concatenate([wrapped, np.where(largest, _other_side(wrapped), wrapped)], axis=1)


def turn_branches(angles: FloatArray) -> FloatArray:
    """Single angles (N, G) in (-pi, pi] and a full turn away from it: (N, 2, G, 1)."""
    wrapped = _wrap(angles[:, None, :, None])
    return np.concatenate([wrapped, _other_side(wrapped)], axis=1)


def choose_branches(candidates: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Pick for each group of joints the path through its candidates that leaves the limits least and jumps least.

    The path minimizes the sum over frames of the violation of the limits plus 4 times the change of the clamped
    angles (dynamic programming over the K candidates).

    Args:
        candidates: (N, K, G, D) angles.
        lower: (G, D) limits.
        upper: (G, D).

    Returns:
        (N, G, D) the chosen angles, not clamped.
    """
    clamped = np.clip(candidates, lower, upper)
    violation = np.abs(candidates - clamped).sum(axis=-1)
    cost, origin = violation[0], np.zeros(violation.shape, dtype=np.intp)
    for frame in range(1, len(candidates)):
        step = np.abs(clamped[frame, None] - clamped[frame - 1, :, None]).sum(axis=-1)
        total = cost[:, None] + _SWITCH_COST * step
        origin[frame] = total.argmin(axis=0)
        cost = total.min(axis=0) + violation[frame]
    return _trace(candidates, origin, cost.argmin(axis=0))


def _trace(candidates: FloatArray, origin: NDArray[np.intp], last: NDArray[np.intp]) -> FloatArray:
    groups = np.arange(candidates.shape[2])
    chosen = np.empty((len(candidates), *candidates.shape[2:]))
    for frame in reversed(range(len(candidates))):
        chosen[frame] = candidates[frame, last, groups]
        last = origin[frame, last, groups]
    return chosen


def bridge(values: FloatArray, bad: BoolArray, max_step: float) -> BoolArray:
    """Frames to replace so that a straight line across them changes by at most `max_step` a frame.

    Args:
        values: (N, D).
        bad: (N - 1,) steps known to be wrong.

    Returns:
        (N,) whether a frame is to be interpolated; the first and last frames never are, unless they are all there is.
    """
    replaced = np.zeros(len(values), dtype=bool)
    position = 0
    while position < len(bad):
        if not bad[position]:
            position += 1
            continue
        start, end = _widen(values, bad, position, max_step)
        replaced[start + 1 : end] = True
        position = max(end, position + 1)
    return replaced


def _widen(values: FloatArray, bad: BoolArray, step: int, max_step: float) -> tuple[int, int]:
    """First and last good frame around a bad step."""
    start, end, last = step, step + 1, len(values) - 1
    while True:
        while end < last and bad[end : end + _NEAR].any():
            end += 1
        if np.abs(values[end] - values[start]).max() <= max_step * (end - start) or (start, end) == (0, last):
            return start, end
        start, end = max(start - 1, 0), min(end + 1, last)


_NEAR = 6
"""Frames within which two bad steps belong to one disturbance (0.05 s)."""


def interpolate(values: FloatArray, replaced: BoolArray) -> FloatArray:
    """(N, D) with the replaced frames on straight lines between their good neighbours."""
    good = np.flatnonzero(~replaced)
    frames = np.arange(len(values))
    return np.stack([np.interp(frames, good, column[good]) for column in values.T], axis=1)


def smooth(values: FloatArray, sigma: float) -> FloatArray:
    """(N, D) filtered by a Gaussian of `sigma` frames; point reflection at the ends keeps their slopes."""
    radius = min(int(np.ceil(4.0 * sigma)), len(values) - 1)
    if radius < 1:
        return values.copy()
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    head = 2.0 * values[0] - values[radius:0:-1]
    tail = 2.0 * values[-1] - values[-2 : -radius - 2 : -1]
    padded = np.concatenate([head, values, tail])
    return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)


def resample(values: FloatArray, frames: FloatArray) -> FloatArray:
    """(M, D) values at fractional frames, by Catmull-Rom cubics.

    Args:
        values: (N, D), N at least 2.
        frames: (M,) positions between 0 and N - 1.
    """
    left = np.clip(np.floor(frames).astype(np.intp), 0, len(values) - 2)
    t = (frames - left)[:, None]
    padded = np.concatenate([2.0 * values[:1] - values[1:2], values, 2.0 * values[-1:] - values[-2:-1]])
    before, here, there, after = (padded[left + shift] for shift in range(4))
    slope_here, slope_there = (there - before) / 2.0, (after - here) / 2.0
    bend = 2.0 * (here - there) + slope_here + slope_there
    curve = 3.0 * (there - here) - 2.0 * slope_here - slope_there
    return np.asarray(here + t * (slope_here + t * (curve + t * bend)))


def _wrap(angles: FloatArray) -> FloatArray:
    return np.asarray(np.pi - np.mod(np.pi - angles, 2.0 * np.pi))


def _other_side(wrapped: FloatArray) -> FloatArray:
    return np.where(wrapped > 0.0, wrapped - 2.0 * np.pi, wrapped + 2.0 * np.pi)
