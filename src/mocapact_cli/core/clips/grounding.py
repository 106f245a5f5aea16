"""The root's path of a walker on its floor: size, height, and feet that stay where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.clips.clip import CONTROL_TIMESTEP, FloatArray
from mocapact_cli.core.clips.feet import lowest_feet, sole_points, sole_steps

if TYPE_CHECKING:
    from mocapact_cli.core.clips.retarget import CleanMotion
    from mocapact_cli.core.walker import Walker

USUAL_SCALE = 1.2
"""Where neither a skeleton nor an upright pose tells the actor's size: the walker's legs are that much longer."""

_UPRIGHT = 0.75
"""Share of the leg's length that the root must be above the feet for a pose to tell the actor's size."""
_NARROWING = (0.12, 0.06, 0.03, 0.03)
"""Metres above the floor within which a foot is taken to stand, round by round."""
_SLIDE = 1.0
"""m/s of a low foot above which it is taken to swing rather than to slide."""
_VERTICAL_STIFFNESS = 30.0
_HORIZONTAL_STIFFNESS = 3.0
"""Weights of the squared second differences against the contacts: the root's path bends below about 2 Hz."""
_VERTICAL_INERTIA = 0.3
_HORIZONTAL_INERTIA = 0.02
"""Weights of the recorded velocity, which decide where no foot stands."""
_SINKING = 5.0
"""A pose in the floor counts this many times one that stands on it."""
_FLOOR_OF_WEIGHTS = 1e-6
_ROUNDS = 4


@dataclass(frozen=True, eq=False)
class Grounded:
    """Poses on the floor and how they got there.

    Attributes:
        qpos: (T, 63).
        scale: Factor from the actor's root path to the walker's.
        height_offset: Metres by which the path was lifted, on average.
        path_correction: Metres by which planting the feet moved the root sideways, at most.
    """

    qpos: FloatArray
    scale: float
    height_offset: float
    path_correction: float


def leg_length(walker: Walker) -> float:
    """Femur and tibia of the walker, metres."""
    model = walker.model
    return float(sum(np.linalg.norm(model.body(f"walker/{name}").pos) for name in ("ltibia", "lfoot")))


def contact_scale(walker: Walker, motion: CleanMotion) -> float | None:
    """Ratio of the walker's size to the actor's, from how high the root is above the floor when feet carry.

    Standing on the floor, the root is as high above the lower foot as the joint angles say; the ratio of that height
    of the walker to the actor's recorded one is the scale. The median over all upright poses is taken.

    Returns:
        None where no pose is upright.
    """
    points = sole_points(walker, _poses(np.zeros_like(motion.position), motion))
    reach, height = -lowest_feet(points), motion.position[:, 2]
    upright = (reach > _UPRIGHT * leg_length(walker)) & (height > 0.5 * reach)
    return float(np.median(reach[upright] / height[upright])) if upright.sum() >= 3 else None


def ground(walker: Walker, motion: CleanMotion, scale: float, dt: float = CONTROL_TIMESTEP) -> Grounded:
    """Scale the root's path, put the walker on the floor and let standing feet slide less.

    Joint angles stay as they are: only the root is moved, smoothly, upwards where the body would sink into the floor,
    downwards where it would hover, and sideways against the sliding of standing feet.

    Args:
        scale: Factor for the root's path.
        dt: Seconds between poses.
    """
    from mocapact_cli.core.walker import pose_features

    path = motion.position * scale
    poses = _poses(path, motion)
    lowest = np.asarray(pose_features(walker, poses).lowest_point)
    lift = _vertical(lowest)
    points = sole_points(walker, poses)
    points[..., 2] += lift[:, None, None]
    shift = _horizontal(points, dt)
    poses[:, 2] += lift
    poses[:, :2] += shift
    correction = float(np.linalg.norm(shift, axis=1).max())
    return Grounded(poses, scale, float(lift.mean()), correction)


def _poses(path: FloatArray, motion: CleanMotion) -> FloatArray:
    return np.concatenate([path, motion.quaternion, motion.joints], axis=1)


def _vertical(lowest: FloatArray) -> FloatArray:
    """(T,) smooth lift that brings the lowest point to the floor wherever it is near it."""
    lift = np.full_like(lowest, -np.percentile(lowest, 20))
    steps = np.full(len(lowest) - 1, _VERTICAL_INERTIA)
    for near in _NARROWING:
        height = lowest + lift
        weight = np.where(height < 0.0, _SINKING, _nearness(height, near)) + _FLOOR_OF_WEIGHTS
        lift = _smoothest(weight, -weight * lowest, steps, _VERTICAL_STIFFNESS)
    return lift


def _horizontal(points: FloatArray, dt: float) -> FloatArray:
    """(T, 2) smooth displacement that takes the sliding out of standing feet.

    Args:
        points: (T, 2, P, 3) sole points at their final height.
    """
    slide, height = sole_steps(points)
    standing = _nearness(height, _NARROWING[-1])
    shift = np.zeros((len(points), 2))
    anchor = np.full(len(points), _FLOOR_OF_WEIGHTS)
    for _ in range(_ROUNDS):
        speed = np.linalg.norm(slide + np.diff(shift, axis=0)[:, None], axis=-1) / dt
        weight = standing * np.exp(-((speed / _SLIDE) ** 2))
        # Only one foot is held at a time: the other one may be lifting off or coming down.
        weight = np.where(weight >= weight.max(axis=1, keepdims=True), weight, 0.0)
        pull = (weight[..., None] * slide).sum(axis=1)
        right = np.concatenate([pull[:1], np.diff(pull, axis=0), -pull[-1:]])
        shift = _smoothest(anchor, right, weight.sum(axis=1) + _HORIZONTAL_INERTIA, _HORIZONTAL_STIFFNESS)
    return np.asarray(shift - shift.mean(axis=0))


def _nearness(height: FloatArray, near: float) -> FloatArray:
    """1 on or below the floor, falling to 0 within about twice `near` metres above."""
    return np.asarray(np.exp(-((np.maximum(height, 0.0) / near) ** 2)))


def _smoothest(values: FloatArray, right: FloatArray, steps: FloatArray, bending: float) -> FloatArray:
    """Solve (W + D1' V D1 + b D2' D2) x = r, where D1 and D2 take first and second differences.

    Args:
        values: (T,) diagonal of W.
        steps: (T - 1,) diagonal of V.
        bending: Factor b.
        right: (T,) or (T, K) right-hand sides r.
    """
    from scipy.linalg import solveh_banded

    count = len(values)
    bands = np.zeros((3, count))
    bands[2] = values
    bands[2, :-1] += steps
    bands[2, 1:] += steps
    bands[1, 1:] -= steps
    for offset, row in enumerate(_BEND):
        for other in range(offset, 3):
            bands[2 - other + offset, other : count - 2 + other] += bending * row * _BEND[other]
    return np.asarray(solveh_banded(bands, right))


_BEND = (1.0, -2.0, 1.0)
