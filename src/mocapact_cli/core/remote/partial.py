"""A file on its way to the disk, in such a form that any process can take it up again after any kind of end.

The bytes lie in `.NAME.partial` beside the destination, each at its place. `.NAME.partial.json` says of which
version they are and which of them are there: it is made before the first byte comes. Its first line names bytes only
after these were flushed, so that it is never ahead of the disk, not even where the power failed. Lines below it name
those that were handed to the system since, many times a second: they outlive the process, and count until the machine
is started again.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import RunError, naming_os_errors
from mocapact_cli.core.remote.files import Checksum, RemoteFile
from mocapact_cli.core.remote.ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_FORMAT = 1
_SAVE_EVERY_S, _NOTE_EVERY_S = 0.2, 0.03
_SAVES_AT_MOST = 0.1
"""Part of the time that saving may take, on disks where flushing is slow."""
_RESERVE = 1 << 17
"""Bytes given up at the end of a file where the disk has no room left to say which are there."""


_DAMAGE = (OSError, ValueError, TypeError, KeyError, RecursionError, AttributeError)


PARTIAL = ".partial"
"""Ending of names of files that are not complete."""
_NOTE, _NEW = ".json", ".new"
"""What stands behind it in the name of the note beside, and behind that while the note is written anew."""


def partial_path(destination: Path) -> Path:
    """Where a file is until it is complete."""
    return destination.with_name(f".{destination.name}{PARTIAL}")


def is_partial(name: str) -> bool:
    """Whether a file of this name is a partial one, or the note beside it."""
    return name.startswith(".") and name.endswith((PARTIAL, f"{PARTIAL}{_NOTE}", f"{PARTIAL}{_NOTE}{_NEW}"))


class AbandonedError(Exception):
    """The file has been closed or begun anew; what was read for it is of no use."""


class PartialFile:
    """The bytes of one version of a file that are there. Safe to use from several threads.

    Args:
        destination: Where it goes once it is complete.
        file: The version.
        clock: Seconds.

    Attributes:
        file: The version.
        resumed: Bytes that an earlier process left.
        outdated: Bytes of another version were there, and have been dropped.
        mismatched: An earlier process found that its checksum is not that of the source.
    """

    def __init__(self, destination: Path, file: RemoteFile, clock: Callable[[], float] = time.monotonic) -> None:
        self.file, self.destination = file, destination
        self.path = partial_path(destination)
        self._sidecar = Sidecar(destination)
        self._clock, self._lock, self._saving = clock, threading.Lock(), threading.Lock()
        self._closed = False
        self._done = Ranges()
        self.mismatched = self.outdated = False
        with self._naming():
            self._take_up()
        self.resumed = self._done.total
        self._next_save, self._next_note = clock() + _SAVE_EVERY_S, 0.0

    def _take_up(self) -> None:
        found = self._sidecar.read()
        if found is not None and found.fits(self.file) and self.path.is_file():
            self._descriptor = os.open(self.path, os.O_RDWR)
            self._done, self.mismatched = found.done, found.mismatched
            # What the sidecar names was flushed; a shorter file has been tampered with.
            self._done.cut(os.fstat(self._descriptor).st_size)
            return
        self.outdated = found is not None and found.done.total > 0
        # In this order: an old sidecar must never speak of new bytes.
        self._sidecar.remove()
        self.path.unlink(missing_ok=True)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        self._sidecar.write(self.file, self._done)

    @property
    def done(self) -> int:
        """Bytes that are there."""
        with self._lock:
            return self._done.total

    @property
    def prefix(self) -> int:
        """Bytes that are there from the beginning on."""
        with self._lock:
            return self._done.prefix

    def missing(self) -> list[tuple[int, int]]:
        """The ranges that are not there; the size must be known."""
        with self._lock:
            return self._done.missing(self.file.size or 0)

    def write(self, pieces: Sequence[bytes], position: int) -> int:
        """Write bytes that follow each other to their place, and return how many of them were not there before.

        Raises:
            AbandonedError: The file has been closed.
            RunError: The disk is full; what is there is kept.
        """
        if self._closed:
            raise AbandonedError
        with self._naming():
            length = _write_all(self._descriptor, pieces, position)
        with self._lock:
            new = self._done.add(position, position + length)
        now = self._clock()
        if now >= self._next_save:
            self.save()
        elif now >= self._next_note:
            self._note(now)
        return new

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Bytes that are there, in pieces.

        Raises:
            OSError: The file ends before.
        """
        while start < stop:
            piece = os.pread(self._descriptor, min(stop - start, 1 << 20), start)
            if not piece:
                raise OSError(errno.EIO, "the file ends early", str(self.path))
            start += len(piece)
            yield piece

    def save(self, *, wait: bool = False) -> None:
        """Flush the bytes that are there and say so on the disk; while another thread does it, only with `wait`."""
        if not self._saving.acquire(blocking=wait):
            return
        try:
            if not self._closed:
                self._save()
        finally:
            self._saving.release()

    def _note(self, now: float) -> None:
        """Say which bytes the system has, unless another thread is at it."""
        if self._saving.acquire(blocking=False):
            try:
                if not self._closed:
                    self._sidecar.append(self._snapshot())
                    self._next_note = now + _NOTE_EVERY_S
            finally:
                self._saving.release()

    def _save(self, done: Ranges | None = None) -> None:
        began = self._clock()
        done = done or self._snapshot()
        with self._naming(), self._closing_on_error():
            os.fsync(self._descriptor)
        with self._naming():
            self._sidecar.write(self.file, done, mismatched=self.mismatched, flush=True)
        now = self._clock()
        self._next_save = now + max(_SAVE_EVERY_S, (now - began) / _SAVES_AT_MOST)

    def close(self) -> None:
        """Save what is there and let go of the file. On a full disk its last bytes make room for the note of the rest.

        The descriptor stays open while a thread may still use it, which nothing can end that waits for the network.
        """
        with self._saving, contextlib.suppress(OSError, RunError):
            if not self._closed:
                self._save_somehow()
        self._closed = True

    def _save_somehow(self) -> None:
        try:
            self._save()
        except RunError:
            size = max(0, os.fstat(self._descriptor).st_size - _RESERVE)
            os.ftruncate(self._descriptor, size)
            # What a thread writes from now on is not in the note, and so not missed.
            self._save(self._snapshot(size))

    def _snapshot(self, size: int | None = None) -> Ranges:
        with self._lock:
            done = Ranges(self._done)
        if size is not None:
            done.cut(size)
        return done

    def release(self) -> None:
        """Give the descriptor back; no thread uses it any more."""
        self._closed = True
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def abandon(self) -> None:
        """Give up all that is there: it is of another version."""
        with self._saving:
            self._closed = True
            self._sidecar.remove()
            self.path.unlink(missing_ok=True)
            # What is written late goes to a file without a name, which holds space until it is closed.
            os.ftruncate(self._descriptor, 0)

    def mark_mismatched(self) -> None:
        """Note that the checksum is wrong, so that the bytes are not taken for good, nor lost, by the next process."""
        self.mismatched = True
        self.save(wait=True)

    def finish(self, recorded: Callable[[Path], None]) -> None:
        """Flush the bytes and put the file in its place.

        Args:
            recorded: Notes that the file is there; called when it is.

        Raises:
            AbandonedError: It has been closed.
            RunError: The disk is full.
        """
        with self._naming(), self._saving:
            if self._closed:
                raise AbandonedError
            self._closed = True
            os.fsync(self._descriptor)
            with self._lock:
                self._sidecar.write(self.file, self._done, finished=True)
            self.path.replace(self.destination)
            recorded(self.destination)
            self._sidecar.path.unlink()

    @contextlib.contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        """After a flush that failed the system may call the next one good, though bytes are lost: there is none."""
        try:
            yield
        except OSError:
            self._closed = True
            raise

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        """Turn a full disk into its message, and let other errors of the system name the file."""
        try:
            with naming_os_errors(self.destination, instead_of=self.path):
                yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise RunError(
                f"{self.destination} could not be written: the disk is full.",
                hint="Free some space, then run the same command again: it goes on from where it stopped.",
            ) from error


class Sidecar:
    """The note beside a partial file.

    Args:
        destination: Where the file goes once it is complete.
    """

    def __init__(self, destination: Path) -> None:
        self.path = destination.with_name(f".{destination.name}{PARTIAL}{_NOTE}")

    def read(self) -> Note | None:
        """What it says; None where there is none, or none that was written in full."""
        try:
            first, *more = self.path.read_text(encoding="utf-8").splitlines()
            note = Note(json.loads(first))
        except _DAMAGE:
            return None
        for line in more:
            # A process may have died over the last one, and the power may have failed over any.
            with contextlib.suppress(*_DAMAGE):
                note.add(json.loads(line))
        return note

    def write(
        self, file: RemoteFile, done: Ranges, *, mismatched: bool = False, finished: bool = False, flush: bool = False
    ) -> None:
        """Replace it; whoever reads it finds the old one or the new one."""
        content = {
            "format": _FORMAT,
            "name": file.name,
            "size": file.size,
            "version": file.version,
            "checksum": file.checksum and [file.checksum.algorithm, file.checksum.digest],
            "mismatched": mismatched,
            "finished": finished,
            "done": list(done),
        }
        new = self.path.with_name(f"{self.path.name}{_NEW}")
        with new.open("w", encoding="utf-8") as stream:
            stream.write(f"{json.dumps(content)}\n")
            stream.flush()
            if flush:
                os.fsync(stream.fileno())
        new.replace(self.path)

    def append(self, written: Ranges) -> None:
        """Name bytes that the system has, but perhaps not yet the disk; for want of space it stays as it was."""
        boot = boot_id()
        if boot is not None:
            with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as stream:
                stream.write(f"{json.dumps({'boot': boot, 'written': list(written)})}\n")

    def remove(self) -> None:
        """Delete it for good, so that it does not come back where the power fails."""
        self.path.unlink(missing_ok=True)
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            # Some network file systems cannot flush folders.
            with contextlib.suppress(OSError):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Note:
    """What a sidecar says.

    Args:
        content: Of the file.

    Raises:
        KeyError, TypeError, ValueError: It is damaged.

    Attributes:
        file: The version.
        done: Bytes that are there.
        mismatched: The checksum was found wrong.
        finished: The file was about to be put in its place.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        if content["format"] != _FORMAT:
            raise ValueError("a sidecar of another format")
        checksum = content["checksum"] and Checksum(*content["checksum"])
        self.file = RemoteFile(str(content["name"]), content["size"], content["version"], checksum)
        self.done = Ranges((int(start), int(stop)) for start, stop in content["done"])
        self.mismatched, self.finished = bool(content["mismatched"]), bool(content["finished"])

    def add(self, line: dict[str, Any]) -> None:
        """Take in bytes that the system had, if it has run without a break since."""
        if line["boot"] == boot_id():
            for start, stop in line["written"]:
                self.done.add(int(start), int(stop))

    def fits(self, file: RemoteFile) -> bool:
        """Whether the bytes are of that version."""
        return same_content(self.file, file)


@functools.cache
def boot_id() -> str | None:
    """What is another one each time that the machine has been started; None where it is not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


def same_content(one: RemoteFile, other: RemoteFile) -> bool:
    """Whether two descriptions are of the same bytes for sure."""
    if one.size != other.size or one.size is None:
        return False
    if one.checksum and other.checksum and one.checksum.algorithm == other.checksum.algorithm:
        return one.checksum == other.checksum
    return one.version is not None and one.version == other.version


def _write_all(descriptor: int, pieces: Sequence[bytes], position: int) -> int:
    """Write everything, which the system may do in steps, and return how much that is."""
    left, place = [memoryview(piece) for piece in pieces if piece], position
    while left:
        written = os.pwritev(descriptor, left, place)
        place += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left:
            left[0] = left[0][written:]
    return place - position
