"""Digests of files by content, remembered as long as the files look untouched."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.json_files import write_json
from mocapact_cli.core.progress import NullProgress, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MEMORY = "digests.json"
_FRESH = 2.0
"""Seconds for which a file is too new to be trusted: it could change again within its time stamp."""


def file_digests(paths: Sequence[Path], folder: Path, progress: Progress | None = None) -> list[str]:
    """The SHA-256 of each file.

    Args:
        paths: The files.
        folder: Where the digests are remembered, by path, size, time stamp and inode. A folder that cannot be written
            costs time only.
        progress: Told while files are read.
    """
    known = _remembered(folder)
    stamps = {str(path.absolute()): _stamp(path) for path in paths}
    unknown = [path for path in paths if known.get(str(path.absolute()), [None])[0] != stamps[str(path.absolute())]]
    if unknown:
        known |= _computed(unknown, stamps, progress or NullProgress())
        now = time.time()
        kept = {name: entry for name, entry in known.items() if now - entry[0][1] / 1e9 > _FRESH}
        with contextlib.suppress(OSError):
            write_json(folder / _MEMORY, kept)
    return [known[str(path.absolute())][1] for path in paths]


def _computed(paths: Sequence[Path], stamps: dict[str, list[int]], progress: Progress) -> dict[str, Any]:
    found: dict[str, Any] = {}
    total = sum(path.stat().st_size for path in paths)
    with progress.task("Reading the dataset", total=total, unit="B") as task:
        for path in paths:
            with path.open("rb") as file:
                name = str(path.absolute())
                found[name] = [stamps[name], hashlib.file_digest(file, "sha256").hexdigest()]
            task.advance(path.stat().st_size)
    return found


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _remembered(folder: Path) -> dict[str, Any]:
    try:
        known = json.loads((folder / _MEMORY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    sound = isinstance(known, dict) and all(isinstance(entry, list) and len(entry) == 2 for entry in known.values())
    return known if sound else {}
