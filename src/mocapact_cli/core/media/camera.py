"""A camera that follows a motion without shaking, and where a ghost stands beside it."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

EYE_HEIGHT = 0.85
"""Metres: the height that the camera looks at on a standing walker."""
DISTANCE = 3.5
"""Metres from there to the eye."""
ELEVATION = -14.0
"""Degrees; negative looks down."""
VIEW_ANGLE = 35.0
"""Degrees between the walker's heading and the direction that it is seen from."""
SMOOTHING_SECONDS = 1.0
GHOST_DISTANCE = 1.2
"""Metres from the walker to a ghost beside it."""


@dataclass(frozen=True)
class Camera:
    """A view of the scene.

    Attributes:
        lookat: (3,) the point in the middle of the picture, metres.
        distance: Metres from there to the eye.
        azimuth: Degrees; 0 looks along +x, 90 along +y.
        elevation: Degrees; negative looks down.
    """

    lookat: FloatArray
    distance: float
    azimuth: float
    elevation: float


def heading(qpos: FloatArray) -> float:
    """Return where a motion goes, in radians about z: along its path if it travels a metre, else where it faces.

    Args:
        qpos: (T, 63) poses.
    """
    travel = qpos[-1, :2] - qpos[0, :2]
    if np.linalg.norm(travel) >= 1.0:
        return float(np.arctan2(travel[1], travel[0]))
    forward = np.zeros(3)
    # The walker's root frame has z along the way it faces when it stands upright.
    mujoco.mju_rotVecQuat(forward, np.array([0.0, 0.0, 1.0]), qpos[0, 3:7])
    return float(np.arctan2(forward[1], forward[0]))


def beside(direction: float) -> FloatArray:
    """Return the (3,) offset in metres of a ghost to the left of a motion that is heading in `direction` (radians)."""
    angle = direction + np.pi / 2
    return GHOST_DISTANCE * np.array([np.cos(angle), np.sin(angle), 0.0])


def follow(ground: FloatArray, direction: float, dt: float, times: FloatArray, *, extra: float = 0.0) -> list[Camera]:
    """Return a camera for every frame, looking from the front right at a path smoothed over a second.

    Args:
        ground: (T, 2) where the subject is on the ground at each step, metres.
        direction: Where it is heading, radians about z.
        dt: Seconds between steps.
        times: (F,) when the frames are taken, seconds.
        extra: Metres to stand further back, for a wider subject.
    """
    path = _smoothed(ground, round(SMOOTHING_SECONDS / dt))
    clock = dt * np.arange(len(path))
    x, y = (np.interp(times, clock, column) for column in path.T)
    azimuth = float(np.degrees(direction)) + 180.0 - VIEW_ANGLE
    lookats = np.column_stack([x, y, np.full(len(times), EYE_HEIGHT)])
    return [Camera(lookat, DISTANCE + extra, azimuth, ELEVATION) for lookat in lookats]


def _smoothed(values: FloatArray, window: int) -> FloatArray:
    """Return the moving average over a centred window, the ends repeated."""
    half = window // 2
    padded = np.pad(values, ((half, half), (0, 0)), mode="edge")
    sums = np.cumsum(np.vstack([np.zeros(values.shape[1]), padded]), axis=0)
    width = 2 * half + 1
    averages: FloatArray = (sums[width:] - sums[:-width]) / width
    return averages
