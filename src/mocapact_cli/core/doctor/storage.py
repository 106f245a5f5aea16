"""The disk under MOCAPACT_HOME: whether it can be written and locked, what lies there, and what was left unfinished."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.atomic import FOLDER_ENDING
from mocapact_cli.core.doctor.findings import STORAGE
from mocapact_cli.core.formatting import counted, size_text
from mocapact_cli.core.paths import HOME_VARIABLE, home

if TYPE_CHECKING:
    from mocapact_cli.core.doctor.findings import Finding

FULL_BYTES, LITTLE_BYTES = 10**8, 5 * 10**9
"""Free space below which nothing works, and below which nothing large does."""
PARTIAL_ENDINGS = (".partial", ".partial.json", ".partial.json.new")
WALK_S = 2.0
"""Seconds spent on adding up files; after that sizes are lower bounds."""
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "lustre", "gpfs", "beegfs", "ceph", "afs")
_IN_MEMORY = ("tmpfs", "ramfs")
_MOUNTS = Path("/proc/self/mounts")
_ELSEWHERE = f"export {HOME_VARIABLE}=/a/folder/that/you/can/write"


def look_at_home() -> Iterator[Finding]:
    """Write, rename and lock a file where data goes, and say how much room there is."""
    folder = home()
    place = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    about = str(folder) if place == folder else f"{folder} (to be made)"
    if not place.is_dir():
        yield STORAGE.problem("home", f"{place} is no folder", _ELSEWHERE, path=str(folder))
        return
    try:
        locks = _tried(place)
    except OSError as error:
        yield STORAGE.problem("home", f"{about} cannot be written: {error.strerror}", _ELSEWHERE, path=str(folder))
        return
    kind = file_system(place)
    yield STORAGE.ok("home", f"{about} can be written{f' ({kind})' if kind else ''}", path=str(folder), kind=kind)
    if not locks:
        text = f"{about} has no locks: nothing keeps two downloads from the same folder"
        yield STORAGE.warning("locks", text, "Run one download at a time, or choose a local disk by MOCAPACT_HOME")
    yield from _about_kind(kind)
    yield _space(place)


def _tried(place: Path) -> bool:
    """Write, sync and rename a file, and return whether it can be locked."""
    import filelock

    with tempfile.TemporaryDirectory(prefix=".mocapact-doctor-", dir=place) as folder:
        written = Path(folder, "written")
        with written.open("wb") as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
        written.replace(Path(folder, "renamed"))
        lock = filelock.FileLock(Path(folder, "lock"))
        try:
            lock.acquire(blocking=False)
        except (NotImplementedError, filelock.Timeout):
            return False
        lock.release()
    return True


def file_system(path: Path, mounts: Path = _MOUNTS) -> str:
    """Return the type of the file system that a path lies on, such as `ext4`; empty where the system does not say."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    parts = [line.split() for line in lines]
    # Spaces in names are written as octal numbers.
    known = [(Path(part[1].encode().decode("unicode_escape")), part[2]) for part in parts if len(part) > 2]
    around = [(mount, kind) for mount, kind in known if path.resolve().is_relative_to(mount)]
    return max(around, key=lambda entry: len(entry[0].parts))[1] if around else ""


def _about_kind(kind: str) -> Iterator[Finding]:
    if kind in _IN_MEMORY:
        yield STORAGE.note("file system", f"{kind}: all of it is lost when the machine restarts", _ELSEWHERE)
    elif kind in _REMOTE:
        text = f"{kind}, over a network: training reads datasets from it at the network's speed"
        yield STORAGE.note("file system", text, "Copy datasets to a local disk and name them by --dataset")


def _space(place: Path) -> Finding:
    usage = shutil.disk_usage(place)
    text = f"{size_text(usage.free)} of {size_text(usage.total)} free"
    details = {"free": usage.free, "total": usage.total}
    if usage.free < FULL_BYTES:
        return STORAGE.problem(
            "space", f"{text}: the disk is full", "Free some space, or move MOCAPACT_HOME", **details
        )
    if usage.free < LITTLE_BYTES:
        return STORAGE.warning("space", f"{text}: too little for a dataset", "Free some space", **details)
    return STORAGE.ok("space", text, **details)


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
        for child in sorted(folder.iterdir()) if part == "data" else [folder]:
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


def contents_of(folder: Path, until: float) -> Contents:
    """Add up the files below a folder.

    Args:
        folder: Where; a file counts by itself.
        until: The time of the monotonic clock at which to stop.
    """
    found = Contents()
    waiting = [(folder, False)]
    while waiting:
        if time.monotonic() > until:
            found.complete = False
            return found
        place, unfinished = waiting.pop()
        for entry in _entries(place):
            left = _is_leftover(entry)
            if left and not unfinished:
                found.leftovers.append(Path(entry.path))
            if entry.is_dir(follow_symlinks=False):
                waiting.append((Path(entry.path), unfinished or left))
            else:
                _count(found, entry, unfinished=unfinished or left)
    found.leftovers.sort()
    return found


def _count(found: Contents, entry: os.DirEntry[str], *, unfinished: bool) -> None:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        # It went away in the meantime.
        return
    # Files that are being fetched have holes; what counts is what they take.
    taken = status.st_blocks * 512 if unfinished and hasattr(status, "st_blocks") else status.st_size
    found.files += 1
    found.size += taken
    found.leftover_size += taken if unfinished else 0


def _entries(place: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            yield from entries
    except OSError:
        # What may not be read is not counted.
        return


def _is_leftover(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith(".") and entry.name.endswith((*PARTIAL_ENDINGS, FOLDER_ENDING))
