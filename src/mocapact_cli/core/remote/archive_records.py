"""What is known of an archive from earlier runs: its headers, what has been written, where its stream can be taken up.

Two files that only grow: a journal of JSON lines and the points of the gzip stream. A process may be killed at any
moment: a last record that is torn is dropped.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import zlib
from bisect import bisect_right
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import IO, TYPE_CHECKING, Any, Literal

from mocapact_cli.core.errors import naming_os_errors
from mocapact_cli.core.remote.gzip_stream import Point
from mocapact_cli.core.remote.partial import partial_path

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.remote.files import RemoteFile

FOLDER = ".archives"
"""Of all records, in the destination."""

_JOURNAL, _POINTS = "journal.jsonl", "points"
_FORMAT = 1
_MAGIC = b"GZPT"
_FIXED = struct.Struct("<4sQQ?BIQI")

Kind = Literal["file", "folder", "link", "other"]


@dataclass(frozen=True)
class Member:
    """A member of a tar archive; offsets are bytes of its uncompressed content.

    Attributes:
        header: Offset of its header.
        data: Offset of its content.
        size: Bytes of its content.
        end: Offset of the next header.
        kind: What it is.
        name: As the archive has it.
    """

    header: int
    data: int
    size: int
    end: int
    kind: Kind
    name: str


@dataclass(frozen=True)
class Done:
    """A member that has been written: where, and what tells that the file is still the same."""

    header: int
    place: str
    size: int
    mtime_ns: int
    crc: int


@dataclass(frozen=True)
class Part:
    """A member whose first `written` bytes, with that CRC-32, are in the file beside its place."""

    header: int
    place: str
    written: int
    crc: int


class ArchiveRecords:
    """The records of one version of one archive in a destination.

    Args:
        destination: The folder that members are written to.
        file: The archive; records of another version of it are not read.
    """

    def __init__(self, destination: Path, file: RemoteFile) -> None:
        self.folder = destination / FOLDER / _folder_name(file.name)
        self._destination, self._file = destination, file
        self._clear()
        self._load()

    def _clear(self) -> None:
        self.members: list[Member] = []
        self.done: dict[int, Done] = {}
        self.parts: dict[int, Part] = {}
        self.ended = False
        self.points: list[Point] = []
        self._open_files: dict[str, IO[bytes]] = {}
        self._sound = {_JOURNAL: 0, _POINTS: 0}

    @property
    def frontier(self) -> int:
        """Offset of the first header that is not known."""
        return self.members[-1].end if self.members else 0

    def nearest(self, offset: int) -> Point:
        """The last point at or before an offset of the content, to be `unpacked`."""
        index = bisect_right(self.points, offset, key=lambda point: point.uncompressed)
        return self.points[index - 1] if index else Point()

    def add(self, record: Member | Done | Part) -> None:
        """Write down a header, a member that is complete, or how far one is."""
        self._take_in(record)
        self._write({type(record).__name__.lower(): list(asdict(record).values())})

    def add_end(self) -> None:
        """Write down that no further member follows."""
        self.ended = True
        self._write({"ended": []})

    def add_point(self, point: Point) -> None:
        """Keep a point, if it lies behind all others."""
        if self.points and point.compressed <= self.points[-1].compressed:
            return
        packed = replace(point, window=zlib.compress(point.window, 1))
        self._begin()
        self._append(_POINTS, _record(packed))
        self.points.append(packed)

    def forget(self) -> None:
        """Delete all records, and what is half written."""
        self.close()
        self._sweep()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._clear()

    def __enter__(self) -> ArchiveRecords:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for file in self._open_files.values():
            file.close()
        self._open_files.clear()

    def _take_in(self, record: Member | Done | Part) -> None:
        if isinstance(record, Member):
            self.members.append(record)
        elif isinstance(record, Done):
            self.done[record.header] = record
        else:
            self.parts[record.header] = record

    def _write(self, value: dict[str, Any]) -> None:
        self._begin()
        self._append(_JOURNAL, _line(value))

    def _begin(self) -> None:
        """Replace records of another version: its points go before there is a journal that could claim them."""
        if not self._sound[_JOURNAL]:
            self._sweep()
            (self.folder / _POINTS).unlink(missing_ok=True)
            self._append(_JOURNAL, _line({"format": _FORMAT, **asdict(self._file)}))

    def _sweep(self) -> None:
        """Delete the halves of members that the journal on disk tells of, be it of another version."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            for line in (self.folder / _JOURNAL).read_bytes().splitlines():
                if part := json.loads(line).get("part"):
                    partial_path(self._destination / Part(*part).place).unlink(missing_ok=True)

    def _append(self, name: str, content: bytes) -> None:
        with naming_os_errors(self.folder / name):
            if name not in self._open_files:
                self._open_files[name] = self._open(name)
            self._open_files[name].write(content)
            self._open_files[name].flush()
        self._sound[name] += len(content)

    def _open(self, name: str) -> IO[bytes]:
        """Open a file behind what is sound of it: nothing is changed before there is something to add."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = (self.folder / name).open("ab")
        file.truncate(self._sound[name])
        return file

    def _load(self) -> None:
        with suppress(FileNotFoundError):
            self._load_journal((self.folder / _JOURNAL).read_bytes())
            if self._sound[_JOURNAL]:
                self._load_points((self.folder / _POINTS).read_bytes())

    def _load_journal(self, content: bytes) -> None:
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            for line in content.splitlines(keepends=True):
                value = json.loads(line)
                if not line.endswith(b"\n") or (not self._sound[_JOURNAL] and not self._is_of_this(value)):
                    break
                if self._sound[_JOURNAL]:
                    self._take_in_line(value)
                self._sound[_JOURNAL] += len(line)

    def _is_of_this(self, value: dict[str, Any]) -> bool:
        """Whether the first line of a journal names this version of the archive, as far as sources said."""
        here = {"format": _FORMAT, **asdict(self._file)}
        return all(None in (value.get(name), mine) or value[name] == mine for name, mine in here.items())

    def _take_in_line(self, value: dict[str, list[Any]]) -> None:
        kinds = {"member": Member, "done": Done, "part": Part}
        ((name, fields),) = value.items()
        if name == "ended":
            self.ended = True
        else:
            self._take_in(kinds[name](*fields))

    def _load_points(self, content: bytes) -> None:
        while (found := _read_record(content, self._sound[_POINTS])) is not None:
            point, self._sound[_POINTS] = found
            self.points.append(point)


def _folder_name(name: str) -> str:
    """A name for the folder of an archive's records that people recognise and no other archive has."""
    readable = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[-80:].lstrip(".")
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _record(point: Point) -> bytes:
    """A point as bytes, with a CRC at the end; its window is compressed already."""
    fields = (point.compressed, point.uncompressed, point.inside, point.bit, point.crc, point.length)
    fixed = _FIXED.pack(_MAGIC, *fields, len(point.window))
    return fixed + point.window + zlib.crc32(fixed + point.window).to_bytes(4, "little")


def _read_record(content: bytes, begin: int) -> tuple[Point, int] | None:
    """The point that stands somewhere, and where the next one does; None where it is torn."""
    window = begin + _FIXED.size
    if len(content) < window:
        return None
    magic, compressed, uncompressed, inside, bit, crc, length, size = _FIXED.unpack(content[begin:window])
    end = window + size
    check = content[end : end + 4]
    if magic != _MAGIC or len(check) < 4 or zlib.crc32(content[begin:end]) != int.from_bytes(check, "little"):
        return None
    return Point(compressed, uncompressed, inside, bit, crc, length, content[window:end]), end + 4


def unpacked(point: Point) -> Point:
    """A point of the records as the stream wants it: its window is stored compressed."""
    return replace(point, window=zlib.decompress(point.window)) if point.window else point
