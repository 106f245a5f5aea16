"""HDF5 files on real disks: HDF5 crashes the process where a write fails, so it is never told of one."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType


class DiskFile:
    """A new file for h5py's file-object driver that takes every write and remembers the first one that failed.

    What the disk did not take stays in memory, so that HDF5 finds its file sound and can be closed in order. The
    caller asks `check` after each operation, so that this is never much.

    Args:
        path: The file; what it held is lost.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._unwritten: list[tuple[int, bytes]] = []
        self._failure: OSError | None = None
        self._position = self._size = 0

    def check(self) -> None:
        """Raise the error of the first write that failed.

        Raises:
            OSError: The disk did not take everything.
        """
        if self._failure is not None:
            raise self._failure

    def write(self, data: Any) -> int:
        """Write bytes at the position."""
        begin, content = self._position, memoryview(data).cast("B")
        self._position += len(content)
        self._size = max(self._size, self._position)
        if self._failure is None:
            try:
                self._write_through(begin, content)
            except OSError as error:
                self._failure = error
        if self._failure is not None:
            self._unwritten.append((begin, bytes(content)))
        return len(content)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the position on; zeros where nothing was written."""
        begin, target = self._position, memoryview(buffer).cast("B")
        self._file.seek(begin)
        count = 0
        while count < len(target) and (got := self._file.readinto(target[count:])):
            count += got
        target[count:] = bytes(len(target) - count)
        for place, content in self._unwritten:
            first, last = max(begin, place), min(begin + len(target), place + len(content))
            if first < last:
                target[first - begin : last - begin] = content[first - place : last - place]
        self._position += len(target)
        return len(target)

    def read(self, size: int = -1) -> bytes:
        """Return bytes from the position on, to the end by default."""
        buffer = bytearray(self._size - self._position if size < 0 else size)
        self.readinto(buffer)
        return bytes(buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position and return it."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def truncate(self, size: int) -> int:
        """Give the file a size."""
        self._size = size
        try:
            self._file.truncate(size)
        except OSError as error:
            self._failure = self._failure or error
        return size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write_through(self, begin: int, content: memoryview) -> None:
        self._file.seek(begin)
        while content:
            content = content[self._file.write(content) :]


@contextlib.contextmanager
def interrupts_after() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block: inside HDF5 it would look like a failed write."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if held:
            usual(*held[0])
