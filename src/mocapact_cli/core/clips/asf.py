"""Acclaim skeleton files (.asf): what a recording's channels are and how long the actor's bones were."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mocapact_cli.core.clips.acclaim import Parser, read_text
from mocapact_cli.core.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

INCH = 0.0254
"""Metres. Acclaim lengths are in inches divided by the file's length unit."""
CMU_LENGTH_UNIT = 0.45

DOFS = ("tx", "ty", "tz", "rx", "ry", "rz")


@dataclass(frozen=True)
class Skeleton:
    """The parts of an ASF file that the import needs.

    Attributes:
        path: Where it was read from, for messages; may be empty.
        meters: Metres in one unit of length of this skeleton and its recordings.
        degrees: Whether angles are in degrees.
        channels: Bone (`root` included) -> its degrees of freedom in the order of the recording, such as
            `("rx", "ry", "rz")`.
        lengths: Bone -> length in metres.
    """

    path: str = ""
    meters: float = INCH / CMU_LENGTH_UNIT
    degrees: bool = True
    channels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lengths: dict[str, float] = field(default_factory=dict)

    @property
    def leg_length(self) -> float:
        """Femur and tibia, mean of both legs, metres.

        Raises:
            InvalidInputError: The skeleton lacks one of these bones.
        """
        bones = ("lfemur", "ltibia", "rfemur", "rtibia")
        missing = [bone for bone in bones if self.lengths.get(bone, 0.0) <= 0.0]
        if missing:
            raise InvalidInputError(f"{self.path}: the skeleton has no bone {missing[0]} of positive length.")
        return sum(self.lengths[bone] for bone in bones) / 2.0


def read_asf(path: Path) -> Skeleton:
    """Read a skeleton.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It is not an ASF file; the message names the line.
    """
    return parse_asf(read_text(path), str(path))


def parse_asf(text: str, path: str = "skeleton") -> Skeleton:
    """Read the text of an ASF file; `path` is named in messages.

    Raises:
        InvalidInputError: The text is not a complete ASF skeleton; the message names the line.
    """
    parser = _Parser(path)
    parser.read_lines(text)
    return parser.finish()


class _Parser(Parser):
    kind = "skeleton (.asf)"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.section = ""
        self.unit, self.degrees = CMU_LENGTH_UNIT, True
        self.channels: dict[str, tuple[str, ...]] = {}
        self.lengths: dict[str, float] = {}
        self.bone: dict[str, list[str]] | None = None

    def read(self, words: list[str]) -> None:
        key = words[0].lower()
        if key.startswith(":"):
            self.section = key
        elif self.section == ":units":
            self._read_unit(key, words[1:])
        elif self.section == ":root" and key == "order":
            self.channels["root"] = self._dofs(words[1:])
        elif self.section == ":bonedata":
            self._read_bone(key, words[1:])
        elif not self.section:
            self.fail("expected a section such as ':version'")

    def _read_unit(self, key: str, values: list[str]) -> None:
        if key == "length":
            self.unit = self._positive(values)
        elif key == "angle":
            self.degrees = not (values and values[0].lower().startswith("rad"))

    def _read_bone(self, key: str, values: list[str]) -> None:
        if key == "begin":
            if self.bone is not None:
                self.fail("a bone begins inside another")
            self.bone = {}
        elif self.bone is None:
            self.fail(f"{key!r} outside a bone")
        elif key == "end":
            self._close_bone(self.bone)
            self.bone = None
        else:
            self.bone[key] = values

    def _close_bone(self, bone: dict[str, list[str]]) -> None:
        name = (bone.get("name") or [""])[0]
        if not name or "length" not in bone:
            self.fail("a bone ends without a name and a length")
        if name in self.lengths:
            self.fail(f"a second bone named {name}")
        self.lengths[name] = self._number(bone["length"])
        if bone.get("dof"):
            self.channels[name] = self._dofs(bone["dof"])

    def _dofs(self, words: list[str]) -> tuple[str, ...]:
        dofs = tuple(word.lower() for word in words)
        unknown = [dof for dof in dofs if dof not in DOFS]
        if unknown or len(set(dofs)) != len(dofs):
            self.fail(f"degrees of freedom {' '.join(words)!r} are not from {' '.join(DOFS)}")
        return dofs

    def _number(self, words: list[str]) -> float:
        try:
            value = float(words[0])
        except (IndexError, ValueError):
            self.fail(f"expected a number, found {' '.join(words)!r}")
        if not math.isfinite(value):
            self.fail(f"{words[0]} is not a finite number")
        return value

    def _positive(self, words: list[str]) -> float:
        value = self._number(words)
        if value <= 0.0:
            self.fail(f"{words[0]} is not a length unit")
        return value

    def finish(self) -> Skeleton:
        if self.bone is not None:
            self.fail("the file ends inside a bone")
        if "root" not in self.channels or not self.lengths:
            self.fail("the file ends without a root order and bones")
        meters = INCH / self.unit
        lengths = {bone: length * meters for bone, length in self.lengths.items()}
        return Skeleton(self.path, meters, self.degrees, self.channels, lengths)


_ALL, _TWO, _TWIST = ("rx", "ry", "rz"), ("rx", "rz"), ("ry", "rz")
_SPINE = ("lowerback", "upperback", "thorax", "lowerneck", "upperneck", "head")
_SIDE: dict[str, tuple[str, ...]] = {
    "clavicle": _TWIST, "humerus": _ALL, "radius": ("rx",), "wrist": ("ry",), "hand": _TWO, "fingers": ("rx",),
    "thumb": _TWO, "femur": _ALL, "tibia": ("rx",), "foot": _TWO, "toes": ("rx",),
}  # fmt: skip

CMU_SKELETON = Skeleton(
    channels={"root": DOFS}
    | dict.fromkeys(_SPINE, _ALL)
    | {side + bone: dofs for side in "rl" for bone, dofs in _SIDE.items()}
)
"""What every CMU recording has in common: channels and units, no bone lengths."""
