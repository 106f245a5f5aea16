"""What lies under MOCAPACT_HOME, how large it is, and what interrupted commands have left unfinished."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.atomic import is_temporary
from mocapact_cli.core.doctor.findings import STORAGE
from mocapact_cli.core.formatting import counted, size_text
from mocapact_cli.core.paths import home
from mocapact_cli.core.remote.partial import is_partial

if TYPE_CHECKING:
    from mocapact_cli.core.doctor.findings import Finding

WALK_S = 2.0
"""Seconds spent on adding up files; after that sizes are lower bounds."""


@dataclass
class Contents:
    """Files below a folder.

    Attributes:
        files: How many.
        size: Bytes of all of them.
        leftovers: Files and folders of what was interrupted.
        leftover_size: Bytes of them.
        complete: Whether all were counted in the time there was.
    """

    files: int = 0
    size: int = 0
    leftovers: list[Path] = field(default_factory=list)
    leftover_size: int = 0
    complete: bool = True

    def add(self, status: os.stat_result, *, unfinished: bool = False) -> None:
        """Count one file, which may be of what was interrupted."""
        # Files that are being fetched have holes; what counts is what they take.
        taken = status.st_blocks * 512 if unfinished and hasattr(status, "st_blocks") else status.st_size
        self.files += 1
        self.size += taken
        self.leftover_size += taken if unfinished else 0

    def text(self) -> str:
        """Return size and number in words."""
        return f"{'' if self.complete else 'at least '}{size_text(self.size)} in {counted(self.files, 'file')}"


def look_at_contents() -> Iterator[Finding]:
    """Say what lies in the folders of data, runs and caches, and what interrupted commands have left there."""
    until = time.monotonic() + WALK_S
    for part, purpose in (("data", "downloads and imports"), ("runs", "training"), ("cache", "made again when needed")):
        folder = home() / part
        if not folder.is_dir():
            continue
        for child in sorted(Path(entry.path) for entry in _entries(folder)) if part == "data" else [folder]:
            contents = contents_of(child, until)
            name = f"{part}/{child.name}" if child != folder else part
            yield STORAGE.ok(name, f"{contents.text()}: {purpose}", path=str(child), size=contents.size)
            yield from _leftovers(name, child, contents)


def _leftovers(name: str, folder: Path, contents: Contents) -> Iterator[Finding]:
    if not contents.leftovers:
        return
    shown = ", ".join(str(path.relative_to(folder)) for path in contents.leftovers[:2])
    more = f" and {len(contents.leftovers) - 2} more" if len(contents.leftovers) > 2 else ""
    yield STORAGE.note(
        name,
        f"{size_text(contents.leftover_size)} of unfinished work: {shown}{more}",
        "A download goes on when it is run again; where nothing runs, they may be deleted",
        paths=[str(path) for path in contents.leftovers],
    )


def contents_of(place: Path, until: float) -> Contents:
    """Add up the files below a folder.

    Args:
        place: The folder; a file counts by itself.
        until: The time of the monotonic clock at which to stop, seconds.
    """
    found = Contents()
    if place.is_file():
        found.add(place.stat())
        return found
    waiting = [(place, False)]
    while waiting:
        if time.monotonic() > until:
            found.complete = False
            break
        folder, unfinished = waiting.pop()
        for entry in _entries(folder):
            left = is_temporary(entry.name) or is_partial(entry.name)
            if left and not unfinished:
                found.leftovers.append(Path(entry.path))
            if entry.is_dir(follow_symlinks=False):
                waiting.append((Path(entry.path), unfinished or left))
            else:
                # It may go away in the meantime.
                with contextlib.suppress(OSError):
                    found.add(entry.stat(follow_symlinks=False), unfinished=unfinished or left)
    found.leftovers.sort()
    return found


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    # What may not be read is not counted.
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from entries
