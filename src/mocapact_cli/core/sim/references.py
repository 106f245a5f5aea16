"""Reference motions of many snippets in one set of arrays, so that a batch can gather its targets at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.quaternions import quat_diff
from mocapact_cli.core.walker.model import FloatArray


class ReferenceBank:
    """The steps of all needed clips, one after the other: R rows.

    Attributes:
        motion: (R, 125) qpos and qvel side by side; qpos: (R, 63); joints: (R, 56) in mocap order.
        points: (R, 99) centre of mass, zeros for the root (mocap data lacks it) and the bodies' positions.
        body_positions: (R, 31, 3); body_quaternions: (R, 31, 4), scalar first; appendages: (R, 15).
        unit_quaternions: (R, 31, 4) the same orientations, normalized.
        ego_quaternions: (R, 31, 4) the bodies' orientations relative to the root's.
        first_row: (S,) the row of each snippet's first step. last_row: (S,) the row of its clip's last step.
        num_steps: (S,) poses in each snippet.
        start_step: (S,) the snippet's first step in its clip.
        duration: (S,) seconds from the snippet's first to its last pose.

    Args:
        snippets: (clip, snippet) pairs; clips may repeat and are stored once.
    """

    def __init__(self, snippets: Sequence[tuple[Clip, Snippet]]) -> None:
        clips = list({clip.id: clip for clip, _ in snippets}.values())
        offsets = dict(
            zip((clip.id for clip in clips), np.cumsum([0, *(clip.num_steps for clip in clips)]), strict=False)
        )
        self.motion = _stack([np.concatenate([clip.qpos(), clip.qvel()], axis=1) for clip in clips])
        self.points = _stack([_points(clip) for clip in clips])
        self.appendages = _stack([clip.appendages.reshape(clip.num_steps, -1) for clip in clips])
        self.body_quaternions = _stack([clip.body_quaternions for clip in clips])
        self.unit_quaternions = self.body_quaternions / np.linalg.norm(self.body_quaternions, axis=-1, keepdims=True)
        self.qpos, self.joints = self.motion[:, :63], self.motion[:, 7:63]
        self.body_positions = self.points[:, 6:].reshape(len(self.points), -1, 3)
        self.ego_quaternions = quat_diff(self.qpos[:, None, 3:7], self.body_quaternions)
        self.start_step = _integers([snippet.start_step for _, snippet in snippets])
        self.first_row = _integers([offsets[clip.id] + snippet.start_step for clip, snippet in snippets])
        self.last_row = _integers([offsets[clip.id] + clip.last_step for clip, _ in snippets])
        self.num_steps = _integers([snippet.end_step - snippet.start_step + 1 for _, snippet in snippets])
        self.duration: FloatArray = np.array([_duration(clip, snippet) for clip, snippet in snippets])

    def start(self, row: int) -> tuple[FloatArray, FloatArray]:
        """Generalized positions (63,) and velocities (62,) at a row."""
        return self.motion[row, :63], self.motion[row, 63:]


def _points(clip: Clip) -> FloatArray:
    root = np.zeros((clip.num_steps, 3))
    return np.concatenate([clip.center_of_mass, root, clip.body_positions.reshape(clip.num_steps, -1)], axis=1)


def _stack(parts: list[FloatArray]) -> FloatArray:
    return np.ascontiguousarray(np.concatenate(parts))


def _integers(values: list[int]) -> NDArray[np.intp]:
    return np.array(values, dtype=np.intp)


def _duration(clip: Clip, snippet: Snippet) -> float:
    # The difference of two products, not the product of a difference: as dm_control computes it, to the last bit.
    return snippet.end_step * clip.dt - snippet.start_step * clip.dt
