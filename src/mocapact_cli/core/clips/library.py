"""Where clips come from when they are asked for by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mocapact_cli.core.clips.built_in import DEMOS, NUM_STEPS
from mocapact_cli.core.clips.clip import CONTROL_TIMESTEP, Clip
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import MocapFile
from mocapact_cli.core.clips.recordings import import_hint, is_recording
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, did_you_mean
from mocapact_cli.core.formatting import quoted
from mocapact_cli.core.paths import data_dir
from mocapact_cli.core.safe.h5 import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence

NUM_BODIES = 31
"""Tracked bodies of the walker; clips fitted to another model have another number."""

BUILT_IN = "built-in"

_ELSEWHERE = "Name the file that holds it with --mocap; `mocapact clips list` lists the clips at hand."


class ClipSource(Protocol):
    """Something that holds clips."""

    def table(self) -> dict[str, tuple[int, float]]:
        """Number of poses and seconds between them of every clip."""

    def get(self, clip_id: str) -> Clip:
        """Read or make one clip."""


class DemoSource:
    """The clips that the package generates."""

    def table(self) -> dict[str, tuple[int, float]]:
        """Number of poses and seconds between them of every clip."""
        return {clip_id: (NUM_STEPS[clip_id], CONTROL_TIMESTEP) for clip_id in DEMOS}

    def get(self, clip_id: str) -> Clip:
        """Generate one clip."""
        return demo(clip_id)


@dataclass(frozen=True)
class Entry:
    """A clip that can be had.

    Attributes:
        id: The clip.
        num_steps: Poses.
        dt: Seconds between them.
        origin: The file, or `built-in`.
    """

    id: str
    num_steps: int
    dt: float
    origin: str

    @property
    def duration(self) -> float:
        """Seconds from the first pose to the last."""
        return (self.num_steps - 1) * self.dt


@dataclass
class ClipLibrary:
    """Clips by name; of two with the same name the first source's is taken.

    Attributes:
        sources: Origin (a file's path, or `built-in`) -> what holds the clips.
        problems: Files that lie in the data folder but cannot be read.
    """

    sources: dict[str, ClipSource]
    problems: list[str] = field(default_factory=list)
    _entries: dict[str, Entry] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for origin, source in self.sources.items():
            for clip_id, (steps, dt) in source.table().items():
                self._entries.setdefault(clip_id, Entry(clip_id, steps, dt, origin))

    def ids(self) -> tuple[str, ...]:
        """All clip ids, source by source."""
        return tuple(self._entries)

    def entry(self, clip_id: str) -> Entry:
        """What is known of a clip without reading it.

        Raises:
            NotFoundError: There is no such clip; the nearest names are given.
        """
        if clip_id not in self._entries:
            raise self._missing(clip_id)
        return self._entries[clip_id]

    def _missing(self, name: str) -> NotFoundError:
        path = Path(name)
        if is_recording(path):
            return NotFoundError(f"{name} is a recording, not the name of a clip.", hint=import_hint(path))
        if path.suffix in SUFFIXES:
            listing = f"Name one of its clips: `mocapact clips list --mocap {quoted(name)}` lists them."
            return NotFoundError(f"{name} is a file, not the name of a clip.", hint=listing)
        return NotFoundError(f"There is no clip {name!r}.", hint=did_you_mean(name, self.ids()) or _ELSEWHERE)

    def num_steps(self, clip_id: str) -> int:
        """Number of poses of a clip.

        Raises:
            NotFoundError: There is no such clip.
        """
        return self.entry(clip_id).num_steps

    def origin(self, clip_id: str) -> str:
        """Path of the file that holds a clip, or `built-in`.

        Raises:
            NotFoundError: There is no such clip.
        """
        return self.entry(clip_id).origin

    def get(self, clip_id: str) -> Clip:
        """Read or make one clip.

        Raises:
            NotFoundError: There is no such clip.
            InvalidInputError: It is damaged or fitted to another walker.
        """
        origin = self.origin(clip_id)
        clip = self.sources[origin].get(clip_id)
        if clip.body_positions.shape[1] != NUM_BODIES or clip.body_quaternions.shape[1] != NUM_BODIES:
            raise InvalidInputError(
                f"{clip_id} in {origin} was fitted to another walker: it has {clip.body_positions.shape[1]} bodies, "
                f"the V2020 humanoid has {NUM_BODIES}."
            )
        return clip

    def resolve(self, text: str) -> Snippet:
        """Read the name of a clip (all of it) or of a snippet.

        Raises:
            NotFoundError: There is no such clip.
            InvalidInputError: The snippet's range is empty or not inside its clip.
        """
        if text in self._entries:
            return Snippet(text, 0, self.num_steps(text) - 1)
        snippet = self._parse(text)
        last = self.num_steps(snippet.clip_id) - 1
        if snippet.end_step > last:
            raise InvalidInputError(
                f"Snippet {snippet} is not inside its clip: {snippet.clip_id} ends at step {last}.",
                hint=f"Run `mocapact clips snippets {snippet.clip_id}` for its snippets.",
            )
        return snippet

    def has(self, text: str) -> bool:
        """Whether there is a clip or a snippet of this name."""
        try:
            self.resolve(text)
        except (NotFoundError, InvalidInputError):
            return False
        return True

    def _parse(self, text: str) -> Snippet:
        if text.count("-") < 2 or not all(part.isdecimal() for part in text.rsplit("-", 2)[1:]):
            self.entry(text)
        return Snippet.parse(text)


def open_library(mocap: Path | Sequence[Path] | None = None) -> ClipLibrary:
    """The clips of the given files, then those in `MOCAPACT_HOME/data/mocap`, then the built-in ones.

    Args:
        mocap: Mocap HDF5 files.

    Raises:
        NotFoundError: A given file does not exist.
        InvalidInputError: A given file is not mocap data.
    """
    given = [mocap] if isinstance(mocap, Path) else list(mocap or [])
    sources: dict[str, ClipSource] = {str(path): MocapFile(path) for path in given}
    problems: list[str] = []
    for path in sorted(data_dir("mocap").glob("*.h5")):
        file = MocapFile(path)
        try:
            file.table()
        except InvalidInputError as error:
            # A damaged file there must not hide every other clip.
            problems.append(error.message)
        else:
            sources.setdefault(str(path), file)
    return ClipLibrary({**sources, BUILT_IN: DemoSource()}, problems)
