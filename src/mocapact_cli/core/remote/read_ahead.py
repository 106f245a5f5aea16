"""A remote file read in order over several connections at once, ahead of whoever reads it."""

from __future__ import annotations

import queue
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

from mocapact_cli.core.remote.files import RangeUnsupportedError, TransientError
from mocapact_cli.core.remote.retries import read_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mocapact_cli.core.remote.files import RemoteFile, Source
    from mocapact_cli.core.remote.retries import Retries

LARGEST = 1 << 23
"""Bytes of the largest piece; no more than one a connection, and the one being read, are in memory."""

SMALLEST = 1 << 18
"""Bytes of the first pieces."""


class ReadAhead:
    """The bytes of a file from some place to its end, in pieces.

    Pieces are small at first and grow, so that little is fetched in vain where the reader soon has what it wants. A
    source that does not send ranges, or does not say how large the file is, is read over one connection.

    Args:
        source: Where the file is.
        file: The file.
        start: Bytes before the place.
        jobs: Connections.
        retries: For each of them.
        smallest: Bytes of the first pieces.
    """

    def __init__(
        self, source: Source, file: RemoteFile, start: int, *, jobs: int, retries: Retries, smallest: int = SMALLEST
    ) -> None:
        self._source, self._file, self._retries = source, file, retries
        self._jobs, self._smallest = jobs, smallest
        self._start = self._position = start
        self.asked = start
        """The place up to which bytes have been asked for."""

        self._closed = threading.Event()
        self._orders: queue.SimpleQueue[tuple[int, int, Future[bytes]] | None] = queue.SimpleQueue()
        self._pending: deque[Future[bytes]] = deque()
        self._workers = 0
        self._received = 0
        self._counting = threading.Lock()

    @property
    def received(self) -> int:
        """Bytes that have come in, also those that nobody has read yet."""
        return self._received

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop fetching."""
        self._closed.set()
        for _ in range(self._workers):
            self._orders.put(None)

    def pieces(self) -> Iterator[bytes]:
        """The bytes in order.

        Raises:
            ChangedError: The source has another version now.
            RunError: A part could not be had; so may other errors of the source's `read` be raised.
        """
        try:
            if self._file.size is not None:
                yield from self._ranges(self._file.size)
                return
        except RangeUnsupportedError:
            self.close()
        yield from self._one_stream()

    def _ranges(self, size: int) -> Iterator[bytes]:
        self._order(size)
        while self._pending:
            piece = self._pending.popleft().result()
            self._order(size)
            self._position += len(piece)
            yield piece

    def _order(self, size: int) -> None:
        """Have all connections fetch something."""
        while self.asked < size and len(self._pending) < self._jobs:
            if self._workers < self._jobs:
                # Daemons: one that waits for a silent server shall not keep the program from ending.
                threading.Thread(target=self._work, name="read-ahead", daemon=True).start()
                self._workers += 1
            # No more ahead of the reader than half of what it has read.
            share = (self._position - self._start) // (2 * self._jobs)
            stop = min(size, self.asked + min(LARGEST, max(self._smallest, share)))
            ordered: Future[bytes] = Future()
            self._orders.put((self.asked, stop, ordered))
            self._pending.append(ordered)
            self.asked = stop

    def _work(self) -> None:
        while (order := self._orders.get()) is not None and not self._closed.is_set():
            start, stop, future = order
            try:
                future.set_result(self._fetch(start, stop))
            except BaseException as error:  # noqa: BLE001 - whoever waits for the piece raises it
                future.set_exception(error)

    def _fetch(self, start: int, stop: int) -> bytes:
        content = bytearray()
        for piece in read_on(self._source, self._file, start, stop, retries=self._retries):
            content += piece
            self._count(len(piece))
            if self._closed.is_set():
                break
        return bytes(content)

    def _one_stream(self) -> Iterator[bytes]:
        """All the rest over one connection, from the beginning of the file each time where there are no ranges."""
        attempts, ranges = self._retries.attempts(), self._file.size is None
        while True:
            begin = self._position if ranges else 0
            try:
                for piece in self._source.read(self._file, begin):
                    self._count(len(piece))
                    fresh = piece[max(0, self._position - begin) :]
                    begin += len(piece)
                    if fresh:
                        attempts.moved()
                        self._position += len(fresh)
                        yield fresh
            except RangeUnsupportedError:
                ranges = False
                continue
            except TransientError as error:
                failure = error
            else:
                return
            attempts.failed(failure)

    def _count(self, number: int) -> None:
        with self._counting:
            self._received += number
