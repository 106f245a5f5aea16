"""Motions as small texts for a page: where the walker's bodies are in every frame, and the shapes that they carry."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from mocapact_cli.core.walker.kinematics import BodyPoser
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.walker.model import Walker

    FloatArray = NDArray[np.float64]

_RANGE = 32767
_MILLIMETRE = 1e-3


@dataclass(frozen=True)
class Motion:
    """A motion of F frames to be played.

    Attributes:
        title: Its name in the list.
        note: One line about it.
        walker: (F, 63) poses.
        reference: (F, 63) poses of a ghost, NaN where there is none; None for no ghost.
        rewards: (F - 1,) or fewer rewards of the steps between; empty where there are none.
        dt: Seconds between frames.
    """

    title: str
    note: str
    walker: FloatArray
    reference: FloatArray | None = None
    rewards: Sequence[float] = ()
    dt: float = CONTROL_TIMESTEP


def walker_shapes(walker: Walker) -> list[dict[str, Any]]:
    """Return the walker's geoms as capsules: the `body` that carries it, its ends `a` and `b` there and radius `r`.

    Bodies are numbered with the root first, then the 31 tracked ones; lengths are metres.
    """
    return [_capsule(walker.model, geom, body) for geom, body in carried_geoms(walker)]


def carried_geoms(walker: Walker) -> list[tuple[int, int]]:
    """Return the walker's geoms, each with the body that carries it: the root is 0, then come the 31 tracked ones."""
    numbers = {int(body): number for number, body in enumerate((walker.root_body, *walker.tracking_bodies))}
    carriers = enumerate(walker.model.geom_bodyid.tolist())
    return [(geom, numbers[body]) for geom, body in carriers if body in numbers]


def _capsule(model: mujoco.MjModel, geom: int, body: int) -> dict[str, Any]:
    kind, size = model.geom_type[geom], model.geom_size[geom]
    radius, half = float(size[0]), 0.0
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        half = float(size[1])
    elif kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
        radius = float(np.mean(size[:2]))
        half = max(float(size[2]) - radius, 0.0)
    axis = np.zeros(3)
    mujoco.mju_rotVecQuat(axis, np.array([0.0, 0.0, half]), model.geom_quat[geom])
    ends = {"a": model.geom_pos[geom] - axis, "b": model.geom_pos[geom] + axis}
    return {"body": body, "r": round(radius, 4), **{name: end.round(4).tolist() for name, end in ends.items()}}


def packed_motion(walker: Walker, motion: Motion) -> dict[str, Any]:
    """Return a motion for the page: frames as 16-bit integers in base64.

    A frame holds 7 numbers a body: position (in units of `scale` metres, from `origin`) and quaternion (of 1/32767).
    The ghost's frames begin at `ghostFrom`.
    """
    known = np.zeros(0, dtype=np.intp)
    if motion.reference is not None:
        known = np.flatnonzero(np.isfinite(motion.reference).all(axis=1))
    origin = motion.walker[:, :3].mean(axis=0)
    ghost = motion.reference[known] if motion.reference is not None and len(known) else None
    frames = [_body_frames(walker, poses, origin) for poses in (motion.walker, ghost) if poses is not None]
    furthest = max(float(np.abs(part[..., :3]).max()) for part in frames)
    scale = max(_MILLIMETRE, furthest / _RANGE)
    texts = [_packed(part, scale) for part in frames]
    return {
        "title": motion.title,
        "note": motion.note,
        "dt": motion.dt,
        "frames": len(motion.walker),
        "scale": scale,
        "origin": origin.round(4).tolist(),
        "walker": texts[0],
        "ghost": texts[1] if ghost is not None else None,
        "ghostFrom": int(known[0]) if ghost is not None else 0,
        "rewards": [round(float(reward), 4) for reward in motion.rewards if np.isfinite(reward)],
    }


def _body_frames(walker: Walker, poses: FloatArray, origin: FloatArray) -> FloatArray:
    """Return (F, 32, 7) positions from `origin` and quaternions of the root and the tracked bodies."""
    poser = BodyPoser(walker)
    frames = np.stack([poser(pose) for pose in poses])
    frames[..., :3] -= origin
    return frames


def _packed(frames: FloatArray, scale: float) -> str:
    units = np.concatenate([frames[..., :3] / scale, frames[..., 3:] * _RANGE], axis=-1)
    whole = np.clip(np.round(units), -_RANGE, _RANGE).astype("<i2")
    return base64.b64encode(whole.tobytes()).decode("ascii")
