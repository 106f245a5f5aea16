"""Reading every value of motion capture once: ranges, and where some are not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.clips.clip import ARRAYS
from mocapact_cli.core.clips.mocap_h5 import MocapFile, array_path
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.evaluation.column_ranges import LISTED, PERCENTILES, ColumnRanges, first_place
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.safe import h5

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mocapact_cli.core.progress import Progress

Facts = dict[str, Any]


def scan_clips(paths: Sequence[Path], *, progress: Progress = NullProgress()) -> Facts:  # noqa: B008 - it has no state
    """Read every array of every clip; memory does not grow with their number.

    Args:
        paths: Mocap files.
        progress: Told about every file.

    Returns:
        `episodes` (clips), `steps` (poses), `observables` (for each array its `range` at `percentiles`), and
        `not_finite` with the first place in each array that holds such values.

    Raises:
        InvalidInputError: A file is damaged, or its clips disagree in the size of an array.
    """
    scan = _ClipScan()
    with progress.task("Reading all values", len(paths), "files") as task:
        for path in paths:
            ids = MocapFile(path).ids()
            with h5.open_h5(path) as file, h5.damage_named(path):
                for clip_id in ids:
                    for name in ARRAYS:
                        scan.add(clip_id, name, _rows(file, array_path(clip_id, name)))
            task.advance()
    return scan.facts()


def _rows(file: Any, path: str) -> NDArray[np.float64]:
    """Read an array of one column a pose as one row a pose."""
    values = h5.read_small(file, path)
    if values.ndim != 2 or values.dtype.kind != "f":
        raise InvalidInputError(f"{path} is not a table of numbers.")
    return np.ascontiguousarray(values.T, dtype=np.float64)


class _ClipScan:
    """What has been seen so far."""

    def __init__(self) -> None:
        self.ranges: dict[str, ColumnRanges] = {}
        self.not_finite: dict[str, int] = {}
        self.places: list[Facts] = []
        self.clips: dict[str, int] = {}

    def add(self, clip_id: str, name: str, rows: NDArray[np.float64]) -> None:
        ranges = self.ranges.setdefault(name, ColumnRanges.of_width(rows.shape[1]))
        if len(ranges.low) != rows.shape[1]:
            raise InvalidInputError(
                f"{name} of {clip_id} has {rows.shape[1]} values a pose, expected {len(ranges.low)}."
            )
        self.clips[clip_id] = len(rows)
        ranges.add(rows)
        bad = ~np.isfinite(rows)
        self.not_finite[name] = self.not_finite.get(name, 0) + int(bad.sum())
        if bad.any() and len(self.places) < LISTED:
            self.places.append({"snippet": clip_id, **first_place(name, bad)})

    def facts(self) -> Facts:
        rows = [
            {"observable": name, "columns": len(part.low), **part.describe(slice(None))}
            | {"not_finite": self.not_finite[name]}
            for name, part in self.ranges.items()
        ]
        return {
            "episodes": len(self.clips),
            "steps": sum(self.clips.values()),
            "percentiles": list(PERCENTILES),
            "observables": rows,
            "not_finite": sum(self.not_finite.values()),
            "not_finite_places": self.places,
        }
