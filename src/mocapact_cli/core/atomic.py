"""Writing files and folders so that they are there in full or not at all.

What is written goes to a temporary name beside, is synced, then renamed.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import naming_os_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER_ENDING = ".partial-folder"
"""Ending of a folder that is being filled."""
_FILE_ENDING = ".partial"
_TEMPORARY_FILE = re.compile(r"\..+\.[0-9a-f]{8}\.partial|\..*(\.\w+)\.[0-9a-f]{8}\1")
"""Names of the temporary files of `atomic_write`: with its own ending, or with that of the file itself."""


@contextlib.contextmanager
def atomic_write(path: Path | str, *, suffix: str = "") -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces `path` once it has been written in full.

    The caller writes the yielded (already existing, empty) file. On success it is synced to disk and renamed; on any
    exception, Ctrl-C included, it is removed and `path` stays as it was. Missing parent folders are created.

    Args:
        path: The final file.
        suffix: Ending of the temporary name, for writers that go by the extension (such as `.mp4`).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path, suffix or _FILE_ENDING)
    try:
        with naming_os_errors(path, instead_of=temporary):
            # Inside, because an interrupt right after it must find it, too.
            temporary.touch(exist_ok=False)
            yield temporary
            _sync(temporary)
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):
        _sync(path.parent)


def write_text(path: Path | str, text: str) -> Path:
    """Write `text` (UTF-8) to `path` atomically and return the path."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


@contextlib.contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """Yield a new folder beside `path`, which takes the place of `path` once the block has filled it.

    On any exception, Ctrl-C included, it is removed with all that is in it, and `path` stays as it was. A folder that
    was at `path` goes only when the new one is complete. What a killed process has left behind is swept up.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*{FOLDER_ENDING}"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = _beside(path, FOLDER_ENDING)
    try:
        with naming_os_errors(path, instead_of=temporary):
            temporary.mkdir()
            yield temporary
            for written in temporary.rglob("*"):
                _sync(written)
            _replace_folder(path, temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    with contextlib.suppress(OSError):
        _sync(path.parent)


def is_temporary(name: str) -> bool:
    """Whether a file or folder of this name is one that `atomic_write` or `atomic_folder` is filling, or has left."""
    return bool(_TEMPORARY_FILE.fullmatch(name)) or (name.startswith(".") and name.endswith(FOLDER_ENDING))


def delete_leftovers(folder: Path | str) -> None:
    """Delete the temporary files of `atomic_write` that killed processes have left in a folder or below.

    Nothing may be writing there.
    """
    for path in Path(folder).rglob(".*"):
        if _TEMPORARY_FILE.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def _beside(path: Path, ending: str) -> Path:
    """Return a name in the same folder that nothing has."""
    return path.parent / f".{path.name}.{secrets.token_hex(4)}{ending}"


def _replace_folder(path: Path, by: Path) -> None:
    if not path.exists():
        by.rename(path)
        return
    # Two renames with nothing between them that takes time; the old folder is deleted after both.
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=FOLDER_ENDING, dir=path.parent))
    path.rename(old)
    try:
        by.rename(path)
    except BaseException:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
