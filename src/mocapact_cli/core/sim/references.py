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
        motion: (R, 125) qpos and qvel side by side.
        qpos: (R, 63).
        joints: (R, 56) in mocap order.
        points: (R, 99) centre of mass, zeros for the root (mocap data lacks it) and the bodies' positions.
        body_positions: (R, 31, 3).
        body_quaternions: (R, 31, 4), scalar first.
        appendages: (R, 15).
        unit_quaternions: (R, 31, 4) the same orientations, normalized.
        ego_quaternions: (R, 31, 4) the bodies' orientations relative to the root's.
        first_row: (S,) the row of each snippet's first step.
        last_row: (S,) the row of its clip's last step.
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
        self.ego_quaternions = quat_diff(self.motion[:, None, 3:7], self.body_quaternions)
        self._name_columns()
        self.start_step = _integers([snippet.start_step for _, snippet in snippets])
        self.first_row = _integers([offsets[clip.id] + snippet.start_step for clip, snippet in snippets])
        self.last_row = _integers([offsets[clip.id] + clip.last_step for clip, _ in snippets])
        self.num_steps = _integers([snippet.num_steps for _, snippet in snippets])
        self.duration: FloatArray = np.array([_duration(clip, snippet) for clip, snippet in snippets])

    def start(self, row: int) -> tuple[FloatArray, FloatArray]:
        """Generalized positions (63,) and velocities (62,) at a row."""
        return self.motion[row, :63], self.motion[row, 63:]

    def _name_columns(self) -> None:
        self.qpos, self.joints = self.motion[:, :63], self.motion[:, 7:63]
        self.body_positions = self.points[:, 6:].reshape(-1, 31, 3)


_ROW_SHAPES = {
    "motion": (125,), "points": (99,), "appendages": (15,),
    "body_quaternions": (31, 4), "unit_quaternions": (31, 4), "ego_quaternions": (31, 4),
}  # fmt: skip
"""The arrays with one row a step that are not views of others."""


class RollingBank(ReferenceBank):
    """The steps of those snippets alone that are open at the moment, so that any number can be tracked in turn.

    Rows of a closed snippet are used again, and keep their content until another snippet is opened.

    Args:
        snippets: All snippets that will be tracked.
    """

    def __init__(self, snippets: Sequence[Snippet]) -> None:
        for name, shape in _ROW_SHAPES.items():
            setattr(self, name, np.zeros((0, *shape)))
        self._name_columns()
        self.start_step = _integers([snippet.start_step for snippet in snippets])
        self.num_steps = _integers([snippet.num_steps for snippet in snippets])
        self.first_row, self.last_row = (np.zeros(len(snippets), dtype=np.intp) for _ in range(2))
        self.duration = np.ones(len(snippets))
        self._free: list[tuple[int, int]] = []

    @property
    def num_rows(self) -> int:
        """Rows R held at the moment, free ones included."""
        return len(self.motion)

    def open(self, index: int, part: ReferenceBank) -> None:
        """Take in snippet `index`, whose steps alone are in `part`, from `snippet_reference`."""
        first = self._allocate(int(self.num_steps[index]))
        for name in _ROW_SHAPES:
            getattr(self, name)[first : first + self.num_steps[index]] = getattr(part, name)
        self.first_row[index], self.last_row[index] = first, first + self.num_steps[index] - 1
        self.duration[index] = part.duration[0]

    def close(self, index: int) -> None:
        """Let the rows of snippet `index` be used again."""
        freed = sorted([*self._free, (int(self.first_row[index]), int(self.last_row[index]) + 1)])
        self._free = freed[:1]
        for begin, end in freed[1:]:
            if begin == self._free[-1][1]:
                self._free[-1] = (self._free[-1][0], end)
            else:
                self._free.append((begin, end))

    def _allocate(self, count: int) -> int:
        """Return the first of `count` rows in the smallest gap that has them, or at the end."""
        gaps = [(end - begin, begin) for begin, end in self._free if end - begin >= count]
        if not gaps:
            self._free.append((self.num_rows, self.num_rows + max(count, self.num_rows // 2)))
            self._grow(self._free[-1][1])
            return self._allocate(count)
        size, begin = min(gaps)
        self._free.remove((begin, begin + size))
        if size > count:
            self._free = sorted([*self._free, (begin + count, begin + size)])
        return begin

    def _grow(self, rows: int) -> None:
        for name in _ROW_SHAPES:
            held = getattr(self, name)
            setattr(self, name, np.concatenate([held, np.zeros((rows - len(held), *held.shape[1:]))]))
        self._name_columns()


def snippet_reference(clip: Clip, snippet: Snippet) -> ReferenceBank:
    """Return the steps of one snippet alone, for `RollingBank.open`."""
    part = clip.slice(snippet.start_step, snippet.end_step)
    bank = ReferenceBank([(part, Snippet(clip.id, 0, part.last_step))])
    bank.duration[:] = _duration(clip, snippet)
    return bank


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
