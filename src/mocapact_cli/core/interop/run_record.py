"""What a run's record says about where its motion came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.clips.library import ClipLibrary, open_library

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RECORD = "config.json"


def recorded_mocap(root: Path) -> list[Path]:
    """The mocap files that a run was started with and that still exist; none where there is no record."""
    try:
        record = json.loads((root / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    named = record.get("mocap", []) if isinstance(record, dict) else []
    return [Path(path) for path in named if isinstance(path, str) and Path(path).is_file()]


def library_for(roots: Iterable[Path], mocap: Sequence[Path] | None) -> ClipLibrary:
    """The clips at hand for runs: of the given files, else of those in the runs' records, then the usual places.

    Args:
        roots: the runs' folders.
        mocap: files that the user named.
    """
    files = list(mocap or dict.fromkeys(path for root in roots for path in recorded_mocap(root)))
    return open_library(files)
