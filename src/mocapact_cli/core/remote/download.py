"""One file on its way: what is still to come, in pieces that any thread may fetch."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from mocapact_cli.core.errors import InvalidInputError, RunError, naming_os_errors
from mocapact_cli.core.formatting import size_text
from mocapact_cli.core.remote.digests import TrailingDigest, has_checksum
from mocapact_cli.core.remote.files import ChangedError, RangeUnsupportedError, RemoteFile, TransientError
from mocapact_cli.core.remote.folder import check_space
from mocapact_cli.core.remote.partial import AbandonedError, PartialFile
from mocapact_cli.core.remote.ranges import split

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from mocapact_cli.core.progress import Progress, ProgressTask
    from mocapact_cli.core.remote.files import Source
    from mocapact_cli.core.remote.folder import Records
    from mocapact_cli.core.remote.retries import Attempts, Retries

Checking = Literal["fail", "warn", "skip"]
"""What a wrong checksum means: the file is refused, is kept with a message, or nobody looks."""

_SHORTEST_PIECE, _LONGEST_PIECE = 8 << 20, 256 << 20
_PIECES_PER_JOB = 4
_BATCH, _BATCH_PIECES, _BATCH_S = 1 << 20, 512, 0.05
"""What is written at once: bytes, pieces, and seconds that they may wait for each other."""
_FOLLOW = 32 << 20
"""Bytes after which a connection helps hashing."""
_RESTARTS = 5


@dataclass(frozen=True)
class Fetched:
    """A file in its place.

    Attributes:
        path: Where it is.
        file: Its version.
        received: Bytes that came for it in this call; 0 where it was there already.
        resumed: Bytes that an earlier call had left.
        verified: Whether its checksum was compared in this call, and right.
    """

    path: Path
    file: RemoteFile
    received: int = 0
    resumed: int = 0
    verified: bool = False


@dataclass(frozen=True)
class Setting:
    """What all files of one call share.

    Attributes:
        source: Where they come from.
        records: Of the folder that they go to.
        checking: Of their checksums.
        retries: When an attempt is made again.
        progress: The listener.
        total: Bar of all of them.
        jobs: Connections at most.
        bars: Whether each has a bar of its own.
        stop: Set when the work is to end.
    """

    source: Source
    records: Records
    checking: Checking
    retries: Retries
    progress: Progress
    total: Meter
    jobs: int
    bars: bool
    stop: threading.Event


class StoppedError(Exception):
    """The work is to end."""


class Meter:
    """Counts bytes for a bar in megabytes. Safe to use from several threads."""

    def __init__(self, task: ProgressTask) -> None:
        self._task, self._lock = task, threading.Lock()
        self._done, self._expected = 0, 0

    def expect(self, count: int) -> None:
        """So many bytes more are to come, or fewer where it is below zero."""
        if count == 0:
            return
        with self._lock:
            self._expected += count
            self._task.update(total=self._expected / 1e6)

    def add(self, count: int) -> None:
        """So many have come; fewer than zero are taken back."""
        with self._lock:
            self._done += count
            self._task.update(completed=self._done / 1e6)


@dataclass(frozen=True)
class Piece:
    """Bytes that one connection fetches: from `start` to before `stop`, or all of the file where that is None."""

    partial: PartialFile
    start: int
    stop: int | None


class Download:
    """One file.

    Args:
        file: What is known of it.
        path: Where it goes.
        setting: What it shares with others.

    Attributes:
        pieces: Not taken by a thread yet.
        active: Threads at work on it; for those who count them.
        result: Where it is, once it is there.
    """

    def __init__(self, file: RemoteFile, path: Path, setting: Setting) -> None:
        self.file, self.path, self._setting = file, path, setting
        self.pieces: deque[Piece] = deque()
        self.active = 0
        self.result: Fetched | None = None
        self._wanted = file
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()
        self._meter: Meter | None = None
        self._partial: PartialFile | None = None
        self._abandoned: list[PartialFile] = []
        self._digest: TrailingDigest | None = None
        self._received = self._restarts = self._counted = 0
        # What the list says is counted from the start, so that the time that is left is known then.
        self._expected = 0 if setting.records.complete(path, file) else file.size or 0
        setting.total.expect(self._expected)
        self._whole = False

    def open(self) -> bool:
        """Find out what is still to come; False where nothing is, because the file is in its place."""
        if self.file.size is None or self.file.version is None:
            self.file = self._present()
        if self._is_complete():
            self._expect(0)
            self.result = self.result or Fetched(self.path, self.file)
            return False
        with naming_os_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._begin()
        return True

    def next_piece(self) -> Piece | None:
        """Something for a thread to fetch; None where others have it all."""
        try:
            return self.pieces.popleft()
        except IndexError:
            return None

    def fetch(self, piece: Piece) -> None:
        """Fetch a piece, however many attempts that takes.

        Raises:
            StoppedError: The work is to end.
            RunError, AccessError, NotFoundError: Of the source, or of a full disk.
        """
        try:
            self._fetch(piece)
        except AbandonedError:
            pass
        except ChangedError:
            self._start_anew(piece)
        except RangeUnsupportedError:
            self._fetch_whole(piece)

    def finish(self) -> None:
        """Verify the file, which is complete, and put it in its place.

        Raises:
            InvalidInputError: It has another checksum than the source says.
            RunError: It is not complete.
        """
        partial = self._now()
        if self.file.size is None:
            self.file = replace(self.file, size=partial.done)
        elif partial.missing():
            raise RunError(f"{self.path} is not complete.", hint="Run the same command again.")
        verified = self._verify(partial)
        partial.finish(lambda path: self._setting.records.add(path, self.file))
        self.result = Fetched(self.path, self.file, self._received, partial.resumed, verified)
        self.close()
        self.release()

    def close(self) -> None:
        """Save what is there; threads that still wait for the network cannot add to it."""
        if self._partial is not None:
            self._partial.close()
        self._stack.close()

    def release(self) -> None:
        """Give back what the system lent; no thread is at work on it."""
        for partial in (*self._abandoned, *([self._partial] if self._partial else [])):
            partial.release()

    def _now(self) -> PartialFile:
        if self._partial is None:
            raise RuntimeError("the file has not been opened")
        return self._partial

    def _present(self) -> RemoteFile:
        """The version that the source has now."""
        wanted = self._wanted
        found = self._setting.retries.call(lambda: self._setting.source.stat(wanted.name))
        if wanted.version is None:
            # Size and checksum are the caller's own knowledge of what it wants, not what the source once had.
            self._check_size(wanted, found)
            size = wanted.size if found.size is None else found.size
            found = replace(found, size=size, checksum=wanted.checksum or found.checksum)
        return found

    def _check_size(self, wanted: RemoteFile, found: RemoteFile) -> None:
        if None not in (wanted.size, found.size) and wanted.size != found.size:
            raise InvalidInputError(
                f"{self._setting.source.label} has another {wanted.name}: {found.size:,} instead of"
                f" {wanted.size:,} bytes.",
                hint="Try another source.",
            )

    def _is_complete(self) -> bool:
        if self._setting.records.complete(self.path, self.file):
            return True
        checksum = self.file.checksum
        if checksum is None or not self.path.is_file() or self.path.stat().st_size != self.file.size:
            return False
        if not has_checksum(self.path, checksum):
            return False
        self._setting.records.add(self.path, self.file)
        self.result = Fetched(self.path, self.file, verified=True)
        return True

    def _begin(self) -> None:
        """Open the partial file and share out what is missing."""
        partial = PartialFile(self.path, self.file)
        if partial.mismatched and self._setting.checking == "fail":
            partial.abandon()
            partial.release()
            partial = PartialFile(self.path, self.file)
        self._partial = partial
        checks = self.file.checksum is not None and self._setting.checking != "skip"
        self._digest = TrailingDigest(partial, self.file.checksum) if checks and self.file.checksum else None
        gaps = partial.missing()
        missing = sum(stop - start for start, stop in gaps)
        check_space(self.path.parent, missing)
        self._announce(partial, missing)
        if self.file.size is None or (self._whole and gaps):
            self.pieces.append(Piece(partial, 0, None))
            return
        longest = min(_LONGEST_PIECE, max(_SHORTEST_PIECE, missing // (self._setting.jobs * _PIECES_PER_JOB) + 1))
        self.pieces.extend(Piece(partial, start, stop) for start, stop in split(gaps, longest))

    def _announce(self, partial: PartialFile, missing: int) -> None:
        setting = self._setting
        if partial.outdated:
            self._say_changed()
        if partial.resumed:
            setting.progress.message(
                f"{self.file.name}: going on after {size_text(partial.resumed)} of {size_text(self.file.size or 0)}."
            )
        self._expect(missing)
        if setting.bars and self._meter is None:
            self._meter = Meter(self._stack.enter_context(setting.progress.task(self.file.name, None, "MB")))
        if self._meter is not None:
            self._meter.expect(missing)

    def _expect(self, missing: int) -> None:
        self._setting.total.expect(missing - self._expected)
        self._expected = missing

    def _fetch(self, piece: Piece) -> None:
        attempts, position = self._setting.retries.attempts(), piece.start
        while True:
            try:
                with contextlib.closing(self._batches(piece, position)) as batches:
                    for batch in batches:
                        self._take(piece, batch, position, attempts)
                        position += sum(map(len, batch))
                return self._follow()
            except TransientError as error:
                failure = error
            except RangeUnsupportedError:
                if piece.stop is not None or position == 0:
                    raise
                self._whole, failure = True, TransientError("the connection dropped")
            position = 0 if self._whole else position
            attempts.failed(failure)

    def _batches(self, piece: Piece, position: int) -> Generator[list[bytes]]:
        return _batches(self._setting.source.read(piece.partial.file, position, piece.stop))

    def _take(self, piece: Piece, batch: list[bytes], position: int, attempts: Attempts) -> None:
        """Write what came, and count it."""
        new = piece.partial.write(batch, position)
        if new:
            attempts.moved()
        with self._lock:
            self._received += sum(map(len, batch))
            # What comes late of a version that is no more is not counted: nothing would take it off again.
            if piece.partial is self._partial:
                self._count(new)
        # Only now, so that nothing that came is lost.
        if self._setting.stop.is_set():
            raise StoppedError
        if position % _FOLLOW < _BATCH:
            self._follow()

    def _count(self, new: int) -> None:
        self._counted += new
        for meter in (self._setting.total, self._meter):
            if meter is not None:
                meter.add(new)

    def _follow(self) -> None:
        if self._digest is not None:
            self._digest.follow()

    def _start_anew(self, piece: Piece) -> None:
        """Drop what is there: it is of a version that is no more."""
        with self._lock:
            if piece.partial is not self._partial:
                return
            self._restarts += 1
            if self._restarts > _RESTARTS:
                raise RunError(
                    f"{self.file.name} keeps changing at {self._setting.source.label}.", hint="Try again later."
                )
            self._say_changed()
            self._drop(piece.partial)
            self.file = self._present()
            self._begin()

    def _say_changed(self) -> None:
        self._setting.progress.message(
            f"{self.file.name} has changed at {self._setting.source.label}: it is fetched anew."
        )

    def _fetch_whole(self, piece: Piece) -> None:
        """Fetch the file in one stream from its beginning, because the source knows no other way."""
        with self._lock:
            if piece.partial is self._partial and not self._whole:
                self._whole = True
                self.pieces.clear()
                self.pieces.append(Piece(piece.partial, 0, None))

    def _drop(self, partial: PartialFile) -> None:
        self.pieces.clear()
        self._count(-self._counted)
        if self._meter is not None:
            self._meter.expect(-self._expected)
        self._expect(0)
        partial.abandon()
        self._abandoned.append(partial)

    def _verify(self, partial: PartialFile) -> bool:
        if self._digest is None:
            return False
        if self._digest.matches():
            return True
        text = f"{self.file.name} is not what {self._setting.source.label} says: its checksum is another one"
        if self._setting.checking == "warn":
            self._setting.progress.message(f"{text}; it is kept.")
            return False
        partial.mark_mismatched()
        raise InvalidInputError(
            f"{text}.", hint="Run the same command again to fetch it anew; --checksum warn keeps it as it is."
        )


def _batches(pieces: Iterator[bytes], clock: Callable[[], float] = time.monotonic) -> Generator[list[bytes]]:
    """Yield what came in lists worth a write each; nothing is lost where the pieces end with an exception."""
    batch, size, since = list[bytes](), 0, clock()
    try:
        with contextlib.closing(pieces):  # type: ignore[type-var]
            for piece in pieces:
                batch.append(piece)
                size += len(piece)
                if size >= _BATCH or len(batch) >= _BATCH_PIECES or clock() - since >= _BATCH_S:
                    yield batch
                    batch, size, since = [], 0, clock()
    except TransientError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
