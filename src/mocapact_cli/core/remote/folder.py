"""A folder that files are fetched into: one process at a time, and a record of what is complete."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import threading
from typing import TYPE_CHECKING

import filelock

from mocapact_cli.core.errors import InvalidInputError, RunError, naming_os_errors
from mocapact_cli.core.formatting import one_line, size_text
from mocapact_cli.core.remote.files import Checksum, RemoteFile
from mocapact_cli.core.remote.partial import Sidecar, partial_path, same_content

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_NAME = ".mocapact.lock"
RECORDS_NAME = ".mocapact-files.jsonl"
_OURS = re.compile(r"\..*\.partial(\.json(\.new)?)?")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder, and keep other processes from fetching into it; the system ends that with the process.

    Raises:
        RunError: Another one does.
        OSError: The folder cannot be made or written.
    """
    with naming_os_errors(folder, instead_of=folder / LOCK_NAME):
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / LOCK_NAME)
        taken = not _acquired(lock)
    if taken:
        raise RunError(
            f"Another process is fetching files into {folder}.", hint="Wait for it, or choose another folder."
        )
    try:
        yield
    finally:
        lock.release()


def _acquired(lock: filelock.BaseFileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return False
    except NotImplementedError:
        # Some file systems of clusters have no locks; to refuse them would help nobody.
        pass
    return True


def inside(folder: Path, name: str) -> Path:
    """The place of a file in a folder.

    Raises:
        InvalidInputError: The name leads out of it, is none, or is one of ours.
    """
    parts = name.split("/")
    unsafe = any(part in ("", ".", "..") or "\\" in part or not part.isprintable() for part in parts)
    ours = parts[-1] in (LOCK_NAME, RECORDS_NAME) or _OURS.fullmatch(parts[-1])
    if unsafe or ours:
        raise InvalidInputError(f"The source names a file {one_line(name)!r}, which is no safe name for one here.")
    return folder.joinpath(*parts)


def check_space(folder: Path, needed: int) -> None:
    """See that so many bytes fit.

    Raises:
        RunError: They do not.
    """
    place = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise RunError(
            f"{folder} has {size_text(free)} free, and {size_text(needed)} are still to come.",
            hint=f"Free {size_text(needed - free)}, or choose another folder.",
        )


class Records:
    """Which files of a folder are complete, and of which version, one line each; the last one of a name counts.

    Only for the process that has locked the folder; safe to use from several threads.

    Args:
        folder: That has them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / RECORDS_NAME
        self._lock = threading.Lock()
        self._known = dict(self._read())

    def _read(self) -> Iterator[tuple[str, tuple[RemoteFile, int]]]:
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            # A process may have died over its last line.
            with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
                yield _parsed(json.loads(line))

    def add(self, path: Path, file: RemoteFile) -> None:
        """Note that a file is complete in its place."""
        status = path.stat()
        known = RemoteFile(file.name, status.st_size, file.version, file.checksum)
        place = path.relative_to(self.folder).as_posix()
        checksum = file.checksum and [file.checksum.algorithm, file.checksum.digest]
        line = {
            "path": place,
            "name": file.name,
            "size": known.size,
            "version": file.version,
            "checksum": checksum,
            "modified_ns": status.st_mtime_ns,
        }
        text = json.dumps(line) + "\n"
        with self._lock:
            # The leading end of line closes one that a dying process did not finish.
            _append(self._path, text if not self._torn() else "\n" + text)
            self._known[place] = (known, status.st_mtime_ns)

    def complete(self, path: Path, file: RemoteFile) -> bool:
        """Whether a file is in its place in the version that the source has, as far as is known without reading it.

        One whose size is another one is not; nor is one that was touched since, if there is a checksum to go by.
        """
        self._catch_up(path)
        known, modified_ns = self._known.get(path.relative_to(self.folder).as_posix(), (None, 0))
        if known is None or not path.is_file():
            return False
        status = path.stat()
        if status.st_size != known.size or (status.st_mtime_ns != modified_ns and file.checksum is not None):
            return False
        unversioned = known.version is None and file.version is None and file.size in (None, known.size)
        return unversioned or same_content(known, file)

    def _catch_up(self, path: Path) -> None:
        """Note what a process that died between two steps had put in its place."""
        sidecar = Sidecar(path)
        note = sidecar.read() if sidecar.path.is_file() else None
        gone = not partial_path(path).exists()
        if note is not None and note.finished and gone and path.is_file() and path.stat().st_size == note.file.size:
            self.add(path, note.file)
            sidecar.path.unlink()

    def _torn(self) -> bool:
        try:
            with self._path.open("rb") as stream:
                stream.seek(-1, os.SEEK_END)
                return stream.read(1) != b"\n"
        except (FileNotFoundError, OSError):
            return False


def _parsed(line: dict[str, object]) -> tuple[str, tuple[RemoteFile, int]]:
    checksum = line["checksum"] and Checksum(*line["checksum"])  # type: ignore[misc]
    file = RemoteFile(str(line["name"]), int(str(line["size"])), line["version"], checksum)  # type: ignore[arg-type]
    return str(line["path"]), (file, int(str(line["modified_ns"])))


def _append(path: Path, text: str) -> None:
    with path.open("ab") as stream:
        stream.write(text.encode())
