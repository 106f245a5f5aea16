"""The content of a remote archive as a file that is read forwards and can be set to other places."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.remote.archive_records import unpacked
from mocapact_cli.core.remote.gzip_stream import GzipStream, TruncatedError
from mocapact_cli.core.remote.read_ahead import SMALLEST, ReadAhead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mocapact_cli.core.progress import ProgressTask
    from mocapact_cli.core.remote.archive_records import ArchiveRecords
    from mocapact_cli.core.remote.files import RemoteFile, Source
    from mocapact_cli.core.remote.retries import Retries

WORTH_A_JUMP = 1 << 23
"""Bytes of the archive that must lie between here and there for a new connection to be better than reading on."""

_LONGEST_END = 1 << 26


@dataclass(frozen=True)
class Reading:
    """How an archive is read.

    Attributes:
        jobs: Connections.
        retries: For each of them.
        spacing: Bytes of the archive between two points.
        ratio: How many bytes one of the archive may become, on average.
        hashed: Whether to hash the archive meanwhile.
    """

    jobs: int
    retries: Retries
    spacing: int
    ratio: int
    hashed: bool


class ArchiveContent:
    """What a .tar.gz or .tar at a source holds.

    Args:
        source: Where it is.
        file: The archive; its content is what it is itself where its name ends in `.tar`.
        records: The points from which the gzip stream can be read; new ones are added.
        reading: How it is read.
        task: Told how much of the archive has been passed, in megabytes.
    """

    def __init__(
        self, source: Source, file: RemoteFile, records: ArchiveRecords, reading: Reading, task: ProgressTask
    ) -> None:
        self._source, self._file, self._records, self._reading = source, file, records, reading
        self._task = task
        self._plain = file.name.endswith(".tar")
        self._ahead: ReadAhead | None = None
        self._received = 0
        self.passed = 0
        """Bytes of the archive before the place that is being read."""

        self._restart(-1)

    def _restart(self, position: int) -> None:
        """Stand somewhere, with nothing read yet."""
        self.close()
        self._pieces: Iterator[bytes] = iter(())
        self._piece = memoryview(b"")
        self._position = position
        self._hash: Any = None

    def close(self) -> None:
        """Stop reading; another `seek` begins again."""
        if self._ahead is not None:
            self._ahead.close()
            self._received += self._ahead.received
            self._ahead = None

    @property
    def received(self) -> int:
        """Bytes of the archive that have come in."""
        return self._received + (self._ahead.received if self._ahead else 0)

    def tell(self) -> int:
        """Bytes of the content before the place where it stands."""
        return self._position

    def seek(self, offset: int) -> None:
        """Go to an offset of the content: by reading on, or from the best point."""
        if self._ahead is None or not 0 <= self._position <= offset or self._is_worth_a_jump(offset):
            self._open(offset)
        for _ in self.pieces(offset - self._position):
            pass

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer at the end only."""
        taken = b""
        while len(taken) < size and (piece := self._next(size - len(taken))):
            taken += piece
        return taken

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes.

        Raises:
            TruncatedError: Fewer are left.
        """
        while size > 0:
            if not (piece := self._next(size)):
                raise TruncatedError(f"it ends early, at byte {self._position:,} of its content")
            size -= len(piece)
            yield piece

    def to_end(self) -> str | None:
        """Read to the end of the archive, so that its checksums are verified.

        Returns:
            The hash of the archive in hexadecimal; None where it was not hashed, or not all of it was read.
        """
        limit = self._position + _LONGEST_END
        while self._next(1 << 20):
            if self._position > limit:
                return None
        return self._hash.hexdigest() if self._hash is not None else None

    def _next(self, size: int) -> memoryview:
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return memoryview(b"")
            self._piece = memoryview(piece)
        taken, self._piece = self._piece[:size], self._piece[size:]
        self._position += len(taken)
        return taken

    def _is_worth_a_jump(self, offset: int) -> bool:
        """Whether there are more bytes to save than have been asked for already."""
        begin = offset if self._plain else self._records.nearest(offset).compressed
        return self._ahead is not None and begin - self._ahead.asked > min(WORTH_A_JUMP, self._reading.spacing)

    def _open(self, offset: int) -> None:
        if self._plain:
            self._restart(offset)
            self._pieces = self._chunks(offset)
            return
        point = self._records.nearest(offset)
        self._restart(point.uncompressed)
        stream = GzipStream(
            self._chunks(point.compressed),
            unpacked(point),
            spacing=self._reading.spacing,
            keep=self._records.add_point,
            ratio=self._reading.ratio,
        )
        self._pieces = stream.pieces()

    def _chunks(self, start: int) -> Iterator[bytes]:
        """The archive from some byte on."""
        how = self._reading
        smallest = min(SMALLEST, how.spacing)
        self._ahead = ReadAhead(self._source, self._file, start, jobs=how.jobs, retries=how.retries, smallest=smallest)
        checksum = self._file.checksum
        if how.hashed and checksum is not None and start == 0:
            self._hash = hashlib.new(checksum.algorithm, usedforsecurity=False)
        self.passed = start
        return self._counted(self._ahead.pieces())

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self._hash is not None:
                self._hash.update(chunk)
            yield chunk
            self.passed += len(chunk)
            self._task.update(completed=self.passed / 1e6)
