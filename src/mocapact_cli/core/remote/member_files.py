"""Where members of an archive go on disk: never outside the destination, and complete before they have their name."""

from __future__ import annotations

import os
import re
import zlib
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from mocapact_cli.core.errors import InvalidInputError, naming_os_errors
from mocapact_cli.core.formatting import one_line
from mocapact_cli.core.remote.archive_records import FOLDER, Done, Part
from mocapact_cli.core.remote.partial import PARTIAL, partial_path

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from mocapact_cli.core.remote.archive_records import ArchiveRecords, Member

_LONGEST_PART = 240
_READ = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:")


def check_name(name: str) -> None:
    """See that a name of a member, or a path below a folder, stays inside the folder and can be one everywhere.

    Raises:
        InvalidInputError: It does not.
    """
    parts = name.split("/")
    hostile = (
        not name.isprintable()
        or "\\" in name
        or _DRIVE.match(name) is not None
        or any(part in ("", ".", "..") or len(os.fsencode(part)) > _LONGEST_PART for part in parts)
    )
    if hostile:
        raise InvalidInputError(f"it holds a member with a name that is refused: {one_line(name)[:100]!r}.")


def target_path(destination: Path, place: str) -> Path:
    """The path of a place below the destination.

    Raises:
        InvalidInputError: It leads out of it, through a link or a file, or onto a folder.
    """
    check_name(place)
    if f"{FOLDER}/" in f"{place}/" or place.endswith(PARTIAL):
        raise InvalidInputError(f"it holds a member with a name that mocapact uses itself: {place!r}.")
    path = destination.joinpath(*place.split("/"))
    inside = [parent for parent in path.parents if parent != destination and parent.is_relative_to(destination)]
    for parent in inside:
        if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
            raise InvalidInputError(f"{parent} is in the way: it is no folder.", hint="Move it, or choose another -d.")
    if path.is_dir() or path.is_symlink():
        raise InvalidInputError(f"{path} is in the way: it is no file.", hint="Move it, or choose another -d.")
    return path


def is_done(path: Path, done: Done | None) -> bool:
    """Whether a member is on disk as it was written; one whose process was killed before it got its name gets it."""
    if done is None:
        return False
    partial = partial_path(path)
    if _matches(partial, done, by_time=True):
        partial.replace(path)
    return _matches(path, done, by_time=False)


def _matches(path: Path, done: Done, *, by_time: bool) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    if found.st_size != done.size or path.is_symlink():
        return False
    return found.st_mtime_ns == done.mtime_ns or (not by_time and _crc(path) == done.crc)


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_READ):
            crc = zlib.crc32(block, crc)
    return crc


class MemberFile:
    """A file that is written to a name beside its own, goes on where an earlier run was, and is renamed when whole.

    On an exception it stays, and the records say how far it is.

    Args:
        path: Its own name.
        member: The member it is.
        place: The path below the destination.
        records: Where its state is written down.
    """

    def __init__(self, path: Path, member: Member, place: str, records: ArchiveRecords) -> None:
        self._path, self._partial = path, partial_path(path)
        self._member, self._place, self._records = member, place, records
        self._points = len(records.points)
        self.written = self._crc = 0

    def __enter__(self) -> MemberFile:
        with naming_os_errors(self._path, instead_of=self._partial):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        with self._file:
            if kind is None:
                with naming_os_errors(self._path, instead_of=self._partial):
                    self._finish()
            else:
                with suppress(OSError):
                    self._note()

    def _open(self) -> IO[bytes]:
        if self._partial.is_symlink():
            self._partial.unlink()
        part = self._records.parts.get(self._member.header)
        if part is not None and part.place == self._place and self._partial.is_file():
            file = self._partial.open("r+b", buffering=0)
            if os.fstat(file.fileno()).st_size >= part.written:
                file.truncate(part.written)
                file.seek(part.written)
                self.written, self._crc = part.written, part.crc
                return file
            file.close()
        # So that it is known to be there, whatever becomes of this process.
        self._records.add(Part(self._member.header, self._place, 0, 0))
        return self._partial.open("wb", buffering=0)

    def write(self, piece: bytes | memoryview) -> None:
        """Write the next bytes."""
        with naming_os_errors(self._path):
            rest = memoryview(piece)
            while rest:
                count = self._file.write(rest)
                self._crc = zlib.crc32(rest[:count], self._crc)
                self.written += count
                rest = rest[count:]
            if len(self._records.points) > self._points:
                self._points = len(self._records.points)
                self._note()

    def _note(self) -> None:
        """Write down how far it is, once that is on disk."""
        os.fsync(self._file.fileno())
        self._records.add(Part(self._member.header, self._place, self.written, self._crc))

    def _finish(self) -> None:
        os.fsync(self._file.fileno())
        found = os.fstat(self._file.fileno())
        self._records.add(Done(self._member.header, self._place, found.st_size, found.st_mtime_ns, self._crc))
        self._partial.replace(self._path)
        with suppress(OSError):
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
