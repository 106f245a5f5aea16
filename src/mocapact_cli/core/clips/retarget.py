"""From the channels of a CMU recording to poses of the walker.

The walker's joints carry the names and axes of the recording's channels, so joint angles map one to one. What differs
is the size of the body (the root's path is scaled by the ratio of leg lengths), the sampling (120 Hz to 0.03 s), the
limits of the joints, and the quality: recordings hold lost frames, gimbal flips and spikes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core import quaternions
from mocapact_cli.core.clips import signals
from mocapact_cli.core.clips.amc import FRAME_RATE
from mocapact_cli.core.clips.clip import FloatArray
from mocapact_cli.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mocapact_cli.core.clips.amc import Motion
    from mocapact_cli.core.clips.signals import BoolArray

MAX_JOINT_SPEED = 25.0
"""rad/s between two frames above which a joint angle is a tracking error. The fastest joints in running and kicking
(the knee) reach about 20 to 25 rad/s; gimbal flips and lost markers show as 40 to 370."""
MAX_ROOT_TURN = 25.0
"""rad/s of the root likewise; somersaults turn at about 12."""
MAX_ROOT_DEVIATION = 3.0
"""m/s by which the root's velocity between two frames may differ from its median over a quarter of a second."""
CUTOFF = 8.0
"""Hz: at this frequency smoothing halves the power. Human motion is below it, marker noise is not."""
CLAMP_TOLERANCE = np.deg2rad(1.0)
"""Radians outside the limits from which a value counts as clamped."""

_SIGMA = float(np.sqrt(np.log(2.0))) * FRAME_RATE / (2.0 * np.pi * CUTOFF)
_TRIMMED_STEPS = 3
_VISIBLE_STEP = 1e-3
_LONGEST_FREEZE = 30
"""Frames. A longer stretch of equal frames is taken for a pose that is meant to be held."""
_BONES_OF_THREE = ("rz", "ry", "rx")
_ROOT_PATH, _ROOT_TURN = ("roottx", "rootty", "roottz"), ("rootrx", "rootry", "rootrz")


@dataclass(frozen=True, eq=False)
class CleanMotion:
    """A recording in the walker's terms, cleaned and resampled; the root's path is still the actor's.

    Attributes:
        position: (T, 3) root path in metres of the actor's world, z up.
        quaternion: (T, 4) root orientation.
        joints: (T, J) inside the limits, radians.
        first_frame: First frame of the recording that was used, counted from 0.
        lost_frames: Frames dropped at both ends because tracking was lost.
        clamped: (J,) share of the values that lay outside their limits.
        repaired: (J,) share of the values that were replaced.
        repaired_root: Share of the root's frames that were replaced.
    """

    position: FloatArray
    quaternion: FloatArray
    joints: FloatArray
    first_frame: int
    lost_frames: int
    clamped: FloatArray
    repaired: FloatArray
    repaired_root: float


def num_poses(num_frames: int, dt: float = 0.03) -> int:
    """Poses that a recording of `num_frames` frames at 120 Hz gives; the last three samples are left out.

    This is the length that the same trial has in dm_control's data.
    """
    per_mille = round(dt * FRAME_RATE * 1000)
    return (num_frames - 1) * 1000 // per_mille + 1 - _TRIMMED_STEPS


def clean(motion: Motion, joint_names: tuple[str, ...], joint_range: FloatArray, dt: float = 0.03) -> CleanMotion:
    """Trim, repair, clamp, smooth and resample a recording.

    Args:
        joint_names: (J,) the walker's joints.
        joint_range: (J, 2) their limits in radians.
        dt: Seconds between the resulting poses.

    Raises:
        InvalidInputError: The recording lacks a joint or is too short.
    """
    _check_channels(motion, joint_names)
    lost = _lost_frames(motion.values)
    first, last = _tracked_span(lost)
    lost = lost[first : last + 1]
    steps = num_poses(last + 1 - first, dt)
    if steps < 2:
        raise InvalidInputError(f"The recording has {last + 1 - first} usable frames, too few for two poses.")
    angles = _limit_path(motion.columns(joint_names)[first : last + 1], joint_names, joint_range)
    joints = np.clip(angles, *joint_range.T)
    joints, repaired = _repair_joints(angles, joints, lost)
    path, turn, repaired_root = _repair_root(*_root(motion, first, last), lost)
    frames = np.arange(steps, dtype=np.float64) * (dt * FRAME_RATE)
    joints = np.clip(signals.resample(signals.smooth(joints, _SIGMA), frames), *joint_range.T)
    return CleanMotion(
        position=signals.resample(signals.smooth(path, _SIGMA), frames),
        quaternion=quaternions.slerp(quaternions.normalized(signals.smooth(turn, _SIGMA)), frames),
        joints=joints,
        first_frame=first,
        lost_frames=motion.num_frames - (last + 1 - first),
        clamped=(np.abs(angles - np.clip(angles, *joint_range.T)) > CLAMP_TOLERANCE).mean(axis=0),
        repaired=repaired.mean(axis=0),
        repaired_root=float(repaired_root.mean()),
    )


def _check_channels(motion: Motion, joint_names: tuple[str, ...]) -> None:
    present, wanted = set(motion.channels), {*joint_names, *_ROOT_PATH, *_ROOT_TURN}
    unknown, missing = sorted(present - wanted), sorted(wanted - present)
    if unknown:
        raise InvalidInputError(f"The walker has no joint {unknown[0]}, which the recording moves.")
    if missing:
        raise InvalidInputError(f"The recording lacks the walker's joint {missing[0]}.")
    for bone, dofs in motion.skeleton.channels.items():
        turns = [dof for dof in dofs if dof[0] == "r"]
        if turns != sorted(turns):
            raise InvalidInputError(f"The skeleton turns {bone} in the order {' '.join(dofs)}; only x, y, z is known.")


def _lost_frames(values: FloatArray) -> BoolArray:
    """(N,) frames in which tracking was lost: all zero, or a copy of their predecessor for at most a quarter second."""
    lost = np.abs(values).max(axis=1) == 0.0
    copied = np.concatenate([[False], (values[1:] == values[:-1]).all(axis=1)])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], copied, [False]]).astype(np.int8)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        whole = (start, end) == (1, len(values))
        if end - start <= _LONGEST_FREEZE and not whole:
            # What a recording starts with before it moves was never tracked, its first frame included.
            lost[start - 1 if start == 1 else start : end] = True
    return np.asarray(lost)


def _tracked_span(lost: BoolArray) -> tuple[int, int]:
    """First and last frame that were tracked."""
    tracked = np.flatnonzero(~lost)
    if not len(tracked):
        raise InvalidInputError("Tracking was lost in every frame of the recording.")
    return int(tracked[0]), int(tracked[-1])


def _limit_path(angles: FloatArray, names: tuple[str, ...], limits: FloatArray) -> FloatArray:
    """(N, J) representations of the same rotations that stay inside the limits where they can."""
    result = angles.copy()
    index = {name: column for column, name in enumerate(names)}
    bones = [name[:-2] for name in names if name.endswith("ry") and name[:-2] + "rx" in index]
    triples = np.array([[index.get(bone + dof, -1) for dof in _BONES_OF_THREE] for bone in bones]).reshape(-1, 3)
    triples = triples[(triples >= 0).all(axis=1)]
    singles = np.setdiff1d(np.arange(len(names)), triples)
    lower, upper = limits.T
    branches = signals.euler_branches(angles[:, triples])
    result[:, triples] = signals.choose_branches(branches, lower[triples], upper[triples])
    turns = signals.turn_branches(angles[:, singles])
    result[:, singles] = signals.choose_branches(turns, lower[singles, None], upper[singles, None])[..., 0]
    return result


def _repair_joints(angles: FloatArray, clamped: FloatArray, lost: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Replace what was lost or moves faster than a human joint; (N, J) angles and which of them were replaced.

    A jump counts in full even where clamping hides most of it, but not where it hides all.
    """
    max_step = MAX_JOINT_SPEED / FRAME_RATE
    result = signals.interpolate(clamped, lost)
    steps, full_steps = (np.abs(np.diff(values, axis=0)) for values in (result, angles))
    bad = (steps > max_step) | ((full_steps > max_step) & (steps > _VISIBLE_STEP))
    replaced = np.repeat(lost[:, None], clamped.shape[1], axis=1)
    for joint in np.flatnonzero(bad.any(axis=0)):
        column = result[:, joint : joint + 1]
        replaced[:, joint] |= signals.bridge(column, bad[:, joint], max_step)
        result[:, joint] = signals.interpolate(column, replaced[:, joint])[:, 0]
    return result, replaced


def _root(motion: Motion, first: int, last: int) -> tuple[FloatArray, FloatArray]:
    """The root's path (N, 3) and orientation (N, 4) in a world whose z points up."""
    x, y, z = motion.columns(_ROOT_PATH)[first : last + 1].T
    rx, ry, rz = motion.columns(_ROOT_TURN)[first : last + 1].T
    turn = quaternions.quat_mul(
        quaternions.about(2, rz), quaternions.quat_mul(quaternions.about(1, ry), quaternions.about(0, rx))
    )
    up = quaternions.about(0, np.array([np.pi / 2.0]))
    return np.stack([x, -z, y], axis=1), quaternions.continuous(quaternions.quat_mul(up, turn))


def _repair_root(path: FloatArray, turn: FloatArray, lost: BoolArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Replace what was lost or jumps; the root's path, its orientation and which frames were replaced."""
    path = signals.interpolate(path, lost)
    turn = quaternions.normalized(signals.interpolate(turn, lost))
    velocity = np.diff(path, axis=0) * FRAME_RATE
    jump = np.linalg.norm(velocity - _running_median(velocity, 15), axis=1) > MAX_ROOT_DEVIATION
    flip = quaternions.angles_between(turn) * FRAME_RATE > MAX_ROOT_TURN
    replaced = lost | signals.bridge(path, jump | flip, np.inf)
    path = signals.interpolate(path, replaced)
    turn = quaternions.normalized(signals.interpolate(turn, replaced))
    return path, turn, replaced


def _running_median(values: FloatArray, radius: int) -> FloatArray:
    padded = np.pad(values, ((radius, radius), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=0)
    return np.asarray(np.median(windows, axis=-1))
