"""Poses of a recorded episode and of its reference, put together from the observations alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.clips.snippets import snippet_named
from mocapact_cli.core.quaternions import quat_mul, quat_to_mat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.datasets.reader import Episode

    FloatArray = NDArray[np.float64]

POSE = ("walker/position", "walker/orientation", "walker/joints_pos")
"""Observables that give the walker's pose."""
REFERENCE = ("walker/reference_rel_root_pos_local", "walker/reference_rel_root_quat", "walker/reference_rel_joints")
"""Observables that give the reference's, for each reference step."""
TIME = "walker/time_in_clip"
JOINTS = 56
_LARGEST_POSITION = 1000.0


@dataclass(frozen=True)
class Joints:
    """Joint angles of an episode of T steps, radians, in actuator order.

    Attributes:
        walker: (T + 1, 56).
        reference: (T + 1, 56) at the same moments; NaN where the episode does not say.
    """

    walker: FloatArray
    reference: FloatArray


def can_show(observables: Iterable[str]) -> bool:
    """Whether episodes with these observables say where the walker is."""
    return set(observables).issuperset(POSE)


def joint_angles(episode: Episode, ref_steps: Sequence[int]) -> Joints | None:
    """Return the joints of the walker and of its reference; None where they were not recorded.

    Args:
        episode: The episode.
        ref_steps: Steps ahead at which its reference observables look.
    """
    if not _has(episode, (POSE[2],)):
        return None
    walker = episode.observable(POSE[2]).astype(np.float64)
    if walker.shape[1] != JOINTS:
        return None
    reference = np.full_like(walker, np.nan)
    if _has(episode, (REFERENCE[2],)) and (look := _look_ahead(ref_steps)) is not None:
        ahead, column = look
        offsets = _of_step(episode, REFERENCE[2], column, len(ref_steps))
        _place(reference, walker + offsets, ahead)
    return Joints(walker, reference)


def poses(
    episode: Episode, ref_steps: Sequence[int], actuator_joint: NDArray[np.intp]
) -> tuple[FloatArray, ...] | None:
    """Return (T + 1, 63) poses of the walker and of the reference; None where the episode does not say.

    Unknown poses of the reference, at the episode's first steps, are NaN.

    Args:
        episode: The episode.
        ref_steps: Steps ahead at which its reference observables look.
        actuator_joint: (56,) for each actuator the number of its joint in a pose.
    """
    joints = joint_angles(episode, ref_steps)
    if joints is None or not _has(episode, POSE):
        return None
    position, rotation = (episode.observable(name).astype(np.float64) for name in POSE[:2])
    walker = _assembled(position, _quaternions(rotation), joints.walker, actuator_joint)
    if not (np.isfinite(walker).all() and np.abs(position).max() < _LARGEST_POSITION):
        return None
    reference = np.full_like(walker, np.nan)
    look = _look_ahead(ref_steps)
    if _has(episode, REFERENCE) and look is not None:
        ahead, column = look
        _place(reference, _reference(episode, walker, column, len(ref_steps), actuator_joint), ahead)
    return walker, reference


def start_step(episode: Episode) -> int | None:
    """Return the clip step at which an episode begins; None where it was not recorded."""
    if episode.from_start:
        snippet = snippet_named(episode.snippet)
        return snippet.start_step if snippet else None
    return _recorded_start(episode)


def _recorded_start(episode: Episode) -> int | None:
    snippet = snippet_named(episode.snippet)
    if snippet is None or not _has(episode, (TIME,)):
        return None
    share = episode.first_row(TIME)
    if share.size != 1 or not np.isfinite(share).all() or not -1.0 <= float(share[0]) <= 2.0:
        return None
    return snippet.start_step + round(float(share[0]) * (snippet.end_step - snippet.start_step))


def _has(episode: Episode, names: Iterable[str]) -> bool:
    return all(episode.has_observable(name) for name in names)


def _look_ahead(ref_steps: Sequence[int]) -> tuple[int, int] | None:
    """Return the nearest reference step that is not in the past, and its place; None if there is none."""
    coming = [(step, place) for place, step in enumerate(ref_steps) if step >= 0]
    return min(coming) if coming else None


def _of_step(episode: Episode, name: str, column: int, count: int) -> FloatArray:
    values = episode.observable(name).astype(np.float64)
    return values.reshape(len(values), count, -1)[:, column]


def _place(target: FloatArray, values: FloatArray, ahead: int) -> None:
    """What is seen at step t happens `ahead` steps later."""
    if ahead < len(target):
        target[ahead:] = values[: len(target) - ahead]


def _reference(
    episode: Episode, walker: FloatArray, column: int, count: int, actuator_joint: NDArray[np.intp]
) -> FloatArray:
    offset, turn, joints = (_of_step(episode, name, column, count) for name in REFERENCE)
    rotation = quat_to_mat(walker[:, 3:7])
    position = walker[:, :3] + np.einsum("tij,tj->ti", rotation, offset)
    quaternion = quat_mul(walker[:, 3:7], turn)
    angles = joints + walker[:, 7:][:, actuator_joint]
    return _assembled(position, quaternion, angles, actuator_joint)


def _assembled(
    position: FloatArray, quaternion: FloatArray, joints: FloatArray, actuator_joint: NDArray[np.intp]
) -> FloatArray:
    result = np.empty((len(position), 7 + joints.shape[1]))
    result[:, :3], result[:, 3:7] = position, quaternion
    result[:, 7 + actuator_joint] = joints
    return result


def _quaternions(rotations: FloatArray) -> FloatArray:
    """Return (T, 4) quaternions, scalar first, of (T, 9) rotation matrices row by row."""
    from scipy.spatial.transform import Rotation

    matrices = np.where(np.isfinite(rotations), rotations, 0.0).reshape(-1, 3, 3)
    proper = np.linalg.det(matrices) > 0.5
    matrices[~proper] = np.eye(3)
    return np.asarray(Rotation.from_matrix(matrices).as_quat()[:, [3, 0, 1, 2]])
