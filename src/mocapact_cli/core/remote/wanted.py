"""What is asked of an archive, and when all of it is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


@dataclass(frozen=True)
class Wanted:
    """Which members of an archive to take, where they go, and what completes the request.

    Attributes:
        place: Maps a member's name, which may be anything, to its path below the destination (parts joined by `/`), or
            None where it is not wanted. It is asked for folders, too.
        items: The paths below the destination, of files or of folders, that complete the request, each with the
            files (paths below the item) without which a folder is not complete; None: whatever `place` maps, so that
            the archive is read to its end. A place that is neither an item nor inside one is not wanted.

            A file is complete when it is there. A folder is complete when its files are there and the archive has
            gone on to something else, or ended: name its files where its members may lie apart in the archive.
    """

    place: Callable[[str], str | None]
    items: Mapping[str, Collection[str]] | None = None

    def item_of(self, place: str) -> str | None:
        """The item that a path below the destination is or lies in."""
        if self.items is None:
            return None
        path = PurePosixPath(place)
        return next((str(at) for at in (path, *path.parents) if str(at) in self.items), None)

    def target(self, name: str) -> str | None:
        """Where the member goes; None where it is not wanted."""
        place = self.place(name)
        if place is None or self.items is None:
            return place
        return None if self.item_of(place) is None else place


@dataclass
class Tally:
    """Which items are complete, told member by member in the order of the archive."""

    wanted: Wanted
    there: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    _open: str | None = None

    def passed(self, place: str | None, *, is_file: bool) -> None:
        """Count a member that has been dealt with; `place` is None for one that is not wanted."""
        item = None if place is None else self.wanted.item_of(place)
        if self._open is not None and item != self._open:
            self.left.add(self._open)
        self._open = item
        if item is not None:
            self.left.discard(item)
        if place is not None and is_file:
            self.there.add(place)

    def ended(self) -> None:
        """Count the end of the archive."""
        self.passed(None, is_file=False)

    def lacks(self, item: str) -> bool:
        """Whether an item is not complete."""
        if item in self.there:
            return False
        needed = (self.wanted.items or {})[item]
        return item not in self.left or any(f"{item}/{name}" not in self.there for name in needed)

    def missing(self) -> list[str]:
        """The items that are not complete."""
        return [item for item in self.wanted.items or () if self.lacks(item)]

    def complete(self) -> bool:
        """Whether all is there; never before the end of the archive where the items are not known."""
        return self.wanted.items is not None and not any(map(self.lacks, self.wanted.items))
