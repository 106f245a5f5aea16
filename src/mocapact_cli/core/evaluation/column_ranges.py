"""Ranges of the columns of a long table, seen part by part in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatRows = NDArray[np.floating]

Facts = dict[str, Any]
PERCENTILES = (0, 1, 25, 50, 75, 99, 100)
"""What a range is described by; the first and last are exact, those between come from a sample of rows."""
SAMPLED_ROWS = 4_000
"""Rows that are kept for percentiles, spread evenly over all."""

LISTED = 50
"""Most places of values that are not finite that are listed; all are counted."""


def first_place(array: str, bad: NDArray[np.bool_]) -> Facts:
    """Return how many values of an array are marked and where the first of them lies.

    Args:
        array: The array's name.
        bad: (rows, columns) marks, at least one of them set.
    """
    row, column = (int(index) for index in np.argwhere(bad)[0])
    return {"array": array, "count": int(bad.sum()), "row": row, "column": column}


@dataclass
class RowSample:
    """Every n-th row, where n doubles whenever too many have come together."""

    every: int = 1
    seen: int = 0
    rows: list[FloatRows] = field(default_factory=list)
    _stacked: FloatRows | None = None

    def add(self, rows: FloatRows) -> None:
        """Look at rows (n, columns)."""
        first = -self.seen % self.every
        self.rows.extend(row.copy() for row in rows[first :: self.every])
        self.seen += len(rows)
        while len(self.rows) > SAMPLED_ROWS:
            self.rows, self.every = self.rows[::2], self.every * 2

    def table(self) -> FloatRows:
        """Return the kept rows as one array (kept, columns); stacked once until there are more."""
        if self._stacked is None or len(self._stacked) != len(self.rows):
            self._stacked = np.stack(self.rows)
        return self._stacked


@dataclass
class ColumnRanges:
    """Lowest and highest finite value of every column of one array, with a sample of its rows."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    sample: RowSample = field(default_factory=RowSample)

    @classmethod
    def of_width(cls, width: int) -> ColumnRanges:
        """Return the ranges of so many columns of which nothing has been seen."""
        return cls(np.full(width, np.inf), np.full(width, -np.inf))

    def add(self, rows: FloatRows) -> None:
        """Look at rows (n, columns); values that are not finite are passed over."""
        finite = np.isfinite(rows)
        clean = finite.all()
        if len(rows):
            self.low = np.minimum(self.low, (rows if clean else np.where(finite, rows, np.inf)).min(axis=0))
            self.high = np.maximum(self.high, (rows if clean else np.where(finite, rows, -np.inf)).max(axis=0))
        self.sample.add(rows)

    def describe(self, columns: NDArray[np.int64] | slice) -> Facts:
        """Return the percentiles over all values of some columns, and which columns never change."""
        low, high = self.low[columns], self.high[columns]
        rows = self.sample.table()[:, columns] if self.sample.rows else np.empty((0, low.size))
        inside = rows[np.isfinite(rows)]
        if not inside.size or not np.isfinite(low).any():
            return {"range": None, "constant_columns": []}
        percentiles = np.percentile(inside, PERCENTILES).astype(float)
        percentiles[0], percentiles[-1] = low[np.isfinite(low)].min(), high[np.isfinite(high)].max()
        return {"range": percentiles.tolist(), "constant_columns": np.flatnonzero(low == high).tolist()}
