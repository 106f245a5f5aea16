"""Acclaim motion files (.amc): one value a channel and frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.clips.acclaim import Parser, read_text
from mocapact_cli.core.clips.asf import CMU_SKELETON, Skeleton

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.clips.clip import FloatArray

FRAME_RATE = 120.0
"""Frames a second of the CMU recordings; the format itself does not say."""


@dataclass(frozen=True, eq=False)
class Motion:
    """A recording.

    Attributes:
        channels: C names, bone and degree of freedom joined: `roottx`, `lfemurrx`.
        values: (N, C) metres for translations, radians for rotations, one row a frame.
        skeleton: What the channels were read by.
    """

    channels: tuple[str, ...]
    values: FloatArray
    skeleton: Skeleton

    @property
    def num_frames(self) -> int:
        """Number of frames N."""
        return len(self.values)

    def columns(self, names: tuple[str, ...]) -> FloatArray:
        """(N, len(names)) the named channels.

        Raises:
            KeyError: A channel does not exist.
        """
        index = {name: column for column, name in enumerate(self.channels)}
        return self.values[:, [index[name] for name in names]]


def read_amc(path: Path, skeleton: Skeleton | None = None) -> Motion:
    """Read a recording.

    Args:
        skeleton: Names the channels of each bone; without it those of the CMU recordings are taken.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It is not a complete AMC file or does not fit the skeleton; the message names the line.
    """
    return parse_amc(read_text(path), str(path), skeleton)


def parse_amc(text: str, path: str = "recording", skeleton: Skeleton | None = None) -> Motion:
    """Read the text of an AMC file; `path` is named in messages.

    Raises:
        InvalidInputError: The text is not a complete AMC recording; the message names the line.
    """
    parser = _Parser(path, skeleton or CMU_SKELETON)
    parser.read_lines(text)
    return parser.finish()


class _Parser(Parser):
    kind = "recording (.amc)"

    def __init__(self, path: str, skeleton: Skeleton) -> None:
        super().__init__(path)
        self.skeleton = skeleton
        self.degrees = skeleton.degrees
        self.frame: dict[str, list[float]] | None = None
        self.number = 0
        self.bones: tuple[str, ...] = ()
        self.rows: list[list[float]] = []

    def read(self, words: list[str]) -> None:
        if words[0].startswith(":"):
            self._read_setting(words[0].lower())
        elif len(words) == 1 and words[0].isdecimal():
            self._begin_frame(int(words[0]))
        elif self.frame is None:
            self.fail(f"expected the first frame's number, found {words[0][:40]!r}")
        else:
            self._read_bone(self.frame, words[0], words[1:])

    def _read_setting(self, word: str) -> None:
        if word in (":degrees", ":radians"):
            self.degrees = word == ":degrees"

    def _begin_frame(self, number: int) -> None:
        if self.frame is not None:
            self._close_frame(self.frame)
            if number != self.number + 1:
                self.fail(f"frame {number} follows frame {self.number}")
        self.frame, self.number = {}, number

    def _read_bone(self, frame: dict[str, list[float]], bone: str, words: list[str]) -> None:
        channels = self.skeleton.channels.get(bone)
        if channels is None:
            self.fail(f"the skeleton has no moving bone {bone[:40]!r}")
        if bone in frame:
            self.fail(f"{bone} occurs twice in frame {self.number}")
        if len(words) != len(channels):
            self.fail(f"{bone} has {len(words)} values, its channels are {' '.join(channels)}")
        try:
            values = [float(word) for word in words]
        except ValueError:
            self.fail(f"{bone} has a value that is not a number")
        if not all(math.isfinite(value) for value in values):
            self.fail(f"{bone} has a value that is not finite")
        frame[bone] = values

    def _close_frame(self, frame: dict[str, list[float]]) -> None:
        if not frame:
            self.fail(f"frame {self.number} is empty")
        self.bones = self.bones or tuple(frame)
        if frame.keys() != set(self.bones):
            odd = min(frame.keys() ^ set(self.bones))
            self.fail(f"frame {self.number} ends with {odd} {'missing' if odd in self.bones else 'added'}")
        self.rows.append([value for bone in self.bones for value in frame[bone]])

    def finish(self) -> Motion:
        if self.frame is None:
            self.fail("the file ends before the first frame")
        self._close_frame(self.frame)
        channels = tuple(bone + dof for bone in self.bones for dof in self.skeleton.channels[bone])
        units = [self._unit(channel) for channel in channels]
        return Motion(channels, np.array(self.rows).reshape(len(self.rows), len(channels)) * units, self.skeleton)

    def _unit(self, channel: str) -> float:
        if channel[-2] == "t":
            return self.skeleton.meters
        return math.pi / 180.0 if self.degrees else 1.0
