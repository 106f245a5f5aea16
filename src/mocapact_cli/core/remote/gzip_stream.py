"""A gzip stream that is inflated piece by piece, from its beginning or from a point that an earlier run has kept.

Every member's CRC is verified, also of one that is read on from a point: a point knows the CRC up to it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.remote.deflate import WINDOW, Block, Decompressor, decompressor, first_block, opening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SPACING = 1 << 25
"""Bytes of an archive between two points."""

_SLICE = 1 << 16
_PROBED = 1 << 19
_PROBED_OUTPUT = 1 << 24
_LONGEST_TEXT = 1 << 16
_ALWAYS_ALLOWED = 1 << 26
_MAGIC = b"\x1f\x8b\x08"
_HEADER_CRC, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16


class DamagedError(Exception):
    """A stream is not what its format says; a second attempt tells whether the source has it so."""


class TruncatedError(DamagedError):
    """A stream ends early; what has come of it is sound."""


@dataclass(frozen=True)
class Point:
    """Where a gzip stream can be taken up.

    Attributes:
        compressed: Bytes of the file before it.
        uncompressed: Bytes of the content before it.
        inside: Whether it is inside a gzip member, at the beginning of a block; else a member begins here.
        bit: Of the first byte at which the block begins.
        crc: CRC-32 of the member's content up to here.
        length: Bytes of the member's content up to here.
        window: The content just before it that the stream may refer back to.
    """

    compressed: int = 0
    uncompressed: int = 0
    inside: bool = False
    bit: int = 0
    crc: int = 0
    length: int = 0
    window: bytes = field(default=b"", repr=False)


class GzipStream:
    """The content of a gzip stream.

    Args:
        chunks: The file from `point.compressed` on.
        point: Where to begin.
        spacing: Bytes of the file between two points.
        keep: Is told every point that has been found.
        ratio: How many bytes a byte of the file may become, on average.
    """

    def __init__(
        self, chunks: Iterator[bytes], point: Point, *, spacing: int, keep: Callable[[Point], None], ratio: int
    ) -> None:
        self._input = _Input(chunks, point.compressed)
        self._begin, self._spacing, self._keep, self._ratio = point, spacing, keep, ratio
        self._last_point = point.compressed
        self._content = point.uncompressed
        self._crc, self._length, self._window = point.crc, point.length, point.window
        self._probe: _Probe | None = None

    def pieces(self) -> Iterator[bytes]:
        """The content from the point on.

        Raises:
            DamagedError: It is no gzip stream, or damaged.
            InvalidInputError: It becomes absurdly large.
        """
        try:
            if self._begin.inside:
                first = self._input.exactly(1)[0]
                inflater = decompressor(self._begin.window)
                yield from self._member(inflater, opening(first, self._begin.bit))
            while self._header():
                yield from self._member(decompressor())
        except zlib.error as error:
            reason = str(error).rpartition(": ")[2]
            raise DamagedError(f"{reason} near byte {self._input.position:,}") from error

    def _member(self, inflater: Decompressor, given: bytes = b"") -> Iterator[bytes]:
        """One member's content."""
        if given:
            inflater.decompress(given)
        while not inflater.eof:
            if not (given := self._input.take(_SLICE)):
                raise TruncatedError(f"it ends early, at byte {self._input.position:,}")
            self._begin_probe(inflater, len(given))
            produced = inflater.decompress(given)
            self._count(produced)
            self._end_probe(given, produced, last=inflater.eof)
            if produced:
                yield produced
        self._input.put_back(inflater.unused_data)
        self._trailer()

    def _count(self, produced: bytes) -> None:
        self._content += len(produced)
        self._crc = zlib.crc32(produced, self._crc)
        self._length += len(produced)
        self._window = (produced if len(produced) >= WINDOW else self._window + produced)[-WINDOW:]
        taken = self._input.position - self._begin.compressed
        if self._content - self._begin.uncompressed > _ALWAYS_ALLOWED + self._ratio * taken:
            raise InvalidInputError(
                f"its content is over {self._ratio} times as large as what it is stored in, which is refused."
            )

    def _begin_probe(self, inflater: Decompressor, given: int) -> None:
        """Before a slice is inflated: if a new point is due, remember where it begins."""
        begin = self._input.position - given
        if self._probe is None and begin - self._last_point >= self._spacing:
            at = Point(begin, self._content, True, 0, self._crc, self._length, self._window)
            self._probe = _Probe(at, inflater.copy())

    def _end_probe(self, given: bytes, produced: bytes, *, last: bool) -> None:
        """After a slice: look for a block once there is enough to look in."""
        probe = self._probe
        if probe is None:
            return
        probe.given += given
        probe.produced += produced
        if last:
            # The next member begins here, which is a better point than any.
            self._probe = None
        elif len(probe.given) >= min(_PROBED, self._spacing) or len(probe.produced) >= _PROBED_OUTPUT:
            self._probe, self._last_point = None, self._input.position
            if (point := probe.point()) is not None:
                self._last_point = point.compressed
                self._keep(point)

    def _header(self) -> bool:
        """Read the header of the next member; False where there is none."""
        if self._input.position != self._begin.compressed:
            self._input.skip_zeros()
        begin = self._input.position
        if begin and self._input.at_end():
            return False
        if self._input.exactly(3) != _MAGIC:
            raise DamagedError("it is not a gzip archive" if not begin else f"no gzip member begins at byte {begin:,}")
        self._optional_fields()
        self._crc = self._length = 0
        if begin - self._last_point >= self._spacing:
            self._keep(Point(begin, self._content))
            self._last_point = begin
        return True

    def _optional_fields(self) -> None:
        flags = self._input.exactly(7)[0]
        if flags & _EXTRA:
            self._input.exactly(int.from_bytes(self._input.exactly(2), "little"))
        for text in (_NAME, _COMMENT):
            if flags & text:
                self._input.skip_text()
        if flags & _HEADER_CRC:
            self._input.exactly(2)

    def _trailer(self) -> None:
        trailer = self._input.exactly(8)
        expected = self._crc.to_bytes(4, "little") + (self._length & 0xFFFFFFFF).to_bytes(4, "little")
        if trailer != expected:
            raise DamagedError(f"its content does not match the checksum at byte {self._input.position:,}")


@dataclass
class _Probe:
    """A part of a stream that is searched for the beginning of a block."""

    at: Point
    running: Decompressor
    given: bytearray = field(default_factory=bytearray)
    produced: bytearray = field(default_factory=bytearray)

    def point(self) -> Point | None:
        given, produced = bytes(self.given), bytes(self.produced)
        block = first_block(self.running, self.at.window, given, produced)
        return None if block is None else self._at(block, produced[: block.produced])

    def _at(self, block: Block, before: bytes) -> Point:
        return Point(
            compressed=self.at.compressed + block.bit // 8,
            uncompressed=self.at.uncompressed + block.produced,
            inside=True,
            bit=block.bit % 8,
            crc=zlib.crc32(before, self.at.crc),
            length=self.at.length + block.produced,
            window=(self.at.window + before)[-WINDOW:],
        )


class _Input:
    """Bytes of a file, some at a time."""

    def __init__(self, chunks: Iterator[bytes], position: int) -> None:
        self._chunks, self._rest = chunks, memoryview(b"")
        self.position = position

    def take(self, limit: int) -> bytes:
        """Up to `limit` bytes; none at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        taken, self._rest = self._rest[:limit], self._rest[limit:]
        self.position += len(taken)
        return bytes(taken)

    def at_end(self) -> bool:
        """Whether nothing follows."""
        self.put_back(first := self.take(1))
        return not first

    def exactly(self, count: int) -> bytes:
        """That many bytes."""
        taken = b""
        while len(taken) < count:
            if not (more := self.take(count - len(taken))):
                raise TruncatedError(f"it ends early, at byte {self.position:,}")
            taken += more
        return taken

    def put_back(self, data: bytes) -> None:
        """Let what has been taken last be taken again."""
        self._rest = memoryview(data + bytes(self._rest))
        self.position -= len(data)

    def skip_zeros(self) -> None:
        """Go to the next byte that is not zero."""
        while data := self.take(_SLICE):
            if rest := data.lstrip(b"\0"):
                self.put_back(rest)
                return

    def skip_text(self) -> None:
        """Go behind the next zero byte."""
        for _ in range(_LONGEST_TEXT):
            if self.exactly(1) == b"\0":
                return
        raise DamagedError("the header of a gzip member is absurdly long")
