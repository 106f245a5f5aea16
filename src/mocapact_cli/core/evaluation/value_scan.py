"""Reading every value of rollouts once, in bounded memory: ranges, actions at their limits, what is not finite."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.datasets import h5, schema
from mocapact_cli.core.datasets.reader import RolloutFile, column_numbers
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mocapact_cli.core.datasets.reader import Episode
    from mocapact_cli.core.progress import Progress

    Float32Array = NDArray[np.float32]

Facts = dict[str, Any]
PERCENTILES = (0, 1, 25, 50, 75, 99, 100)
"""What a range is described by; the first and last are exact, those between come from a sample of rows."""
SAMPLED_ROWS = 4_000
"""Rows that are kept for percentiles, spread evenly over all."""
LISTED = 50
"""Most places of values that are not finite that are listed; all are counted."""
_SCALARS = ("rewards", "values", "advantages")
_LIMIT = 1.0


@dataclass
class _Sample:
    """Every n-th row, where n doubles whenever too many have come together."""

    every: int = 1
    seen: int = 0
    rows: list[Float32Array] = field(default_factory=list)

    def add(self, rows: Float32Array) -> None:
        first = -self.seen % self.every
        self.rows.extend(row.copy() for row in rows[first :: self.every])
        self.seen += len(rows)
        while len(self.rows) > SAMPLED_ROWS:
            self.rows, self.every = self.rows[::2], self.every * 2


@dataclass
class _Range:
    """Lowest and highest finite value of every column of one array, with a sample of its rows."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    sample: _Sample = field(default_factory=_Sample)

    @classmethod
    def of_width(cls, width: int) -> _Range:
        return cls(np.full(width, np.inf), np.full(width, -np.inf))

    def add(self, rows: Float32Array) -> None:
        finite = np.isfinite(rows)
        clean = finite.all()
        if len(rows):
            self.low = np.minimum(self.low, (rows if clean else np.where(finite, rows, np.inf)).min(axis=0))
            self.high = np.maximum(self.high, (rows if clean else np.where(finite, rows, -np.inf)).max(axis=0))
        self.sample.add(rows)

    def describe(self, columns: NDArray[np.int64] | slice) -> Facts:
        """Return the percentiles over all values of some columns, and which columns never change."""
        low, high = self.low[columns], self.high[columns]
        rows = np.stack(self.sample.rows)[:, columns] if self.sample.rows else np.empty((0, low.size))
        inside = rows[np.isfinite(rows)]
        if not inside.size or not np.isfinite(low).any():
            return {"range": None, "constant_columns": []}
        percentiles = np.percentile(inside, PERCENTILES).astype(float)
        percentiles[0], percentiles[-1] = low[np.isfinite(low)].min(), high[np.isfinite(high)].max()
        return {"range": percentiles.tolist(), "constant_columns": np.flatnonzero(low == high).tolist()}


@dataclass
class _Scan:
    """What has been seen so far."""

    observables: Mapping[str, NDArray[np.int64]]
    observations: _Range
    actions: _Range
    scalars: dict[str, _Range]
    places: list[Facts] = field(default_factory=list)
    not_finite: int = 0
    at_limit: int = 0
    over_limit: int = 0
    action_values: int = 0
    steps: int = 0
    episodes: int = 0
    observable_not_finite: dict[str, int] = field(default_factory=dict)

    @classmethod
    def over(cls, file: RolloutFile, episode: Episode) -> _Scan:
        width = h5.dataset(file.handle[episode.snippet], f"{episode.index}/{schema.PROPRIOCEPTIVE}").shape[1]
        actions = h5.dataset(file.handle[episode.snippet], f"{episode.index}/actions").shape[1]
        ranges = {name: _Range.of_width(1) for name in _SCALARS}
        return cls(column_numbers(file), _Range.of_width(width), _Range.of_width(actions), ranges)

    def fits(self, file: RolloutFile) -> bool:
        """Whether a file has the observables that were seen first, each as wide."""
        found = column_numbers(file)
        sizes = {name: len(numbers) for name, numbers in self.observables.items()}
        return {name: len(numbers) for name, numbers in found.items()} == sizes

    def add(self, episode: Episode) -> None:
        observations, actions = episode.observations, episode.actions
        self._note(episode, "observations", observations)
        self._note(episode, "actions", actions)
        self.observations.add(observations)
        self.actions.add(actions)
        for name in _SCALARS:
            column = getattr(episode, name).reshape(-1, 1)
            self._note(episode, name, column)
            self.scalars[name].add(column)
        size = np.abs(actions)
        self.at_limit += int((size >= _LIMIT).sum())
        self.over_limit += int((size > _LIMIT).sum())
        self.action_values += actions.size
        self.steps += len(actions)
        self.episodes += 1

    def _note(self, episode: Episode, array: str, values: Float32Array) -> None:
        """Count the values that are not finite and keep where the first of this array lies."""
        bad = ~np.isfinite(values)
        count = int(bad.sum())
        if not count:
            return
        self.not_finite += count
        row, column = (int(index) for index in np.argwhere(bad)[0])
        place = {"snippet": episode.snippet, "episode": episode.index, "array": array, "count": count, "row": row}
        place |= {"column": column}
        if array == "observations":
            place |= {"observable": self._owner(column)}
            for name, numbers in self.observables.items():
                here = int(bad[:, numbers].sum())
                self.observable_not_finite[name] = self.observable_not_finite.get(name, 0) + here
        if len(self.places) < LISTED:
            self.places.append(place)

    def _owner(self, column: int) -> str | None:
        return next((name for name, numbers in self.observables.items() if column in numbers), None)

    def facts(self) -> Facts:
        observables = [
            {"observable": name, "columns": len(numbers), **self.observations.describe(numbers)}
            | {"not_finite": self.observable_not_finite.get(name, 0)}
            for name, numbers in self.observables.items()
        ]
        everything = slice(None)
        return {
            "episodes": self.episodes,
            "steps": self.steps,
            "percentiles": list(PERCENTILES),
            "observables": observables,
            "actions": self.actions.describe(everything)
            | {
                "at_limit_rate": self.at_limit / max(self.action_values, 1),
                "over_limit_rate": self.over_limit / max(self.action_values, 1),
                "columns": [self.actions.describe(slice(i, i + 1))["range"] for i in range(len(self.actions.low))],
            },
            **{name: part.describe(everything)["range"] for name, part in self.scalars.items()},
            "not_finite": self.not_finite,
            "not_finite_places": self.places,
        }


def scan_values(paths: Sequence[Path], *, progress: Progress = NullProgress()) -> Facts:  # noqa: B008 - it has no state
    """Read every value of some rollout files that share one layout; memory does not grow with their size.

    Args:
        paths: The files.
        progress: Told about every file.

    Returns:
        `episodes`, `steps`, `observables` (for each its `range` at `percentiles` and `constant_columns`), `actions`
        (also how many are at or beyond -1 or 1), ranges of `rewards`, `values` and `advantages`, and `not_finite`
        with the first place in each array that holds such values.

    Raises:
        InvalidInputError: A file is damaged.
    """
    scan: _Scan | None = None
    with progress.task("Reading all values", len(paths), "files") as task:
        for path in paths:
            with RolloutFile(path) as file, h5.damage_named(path):
                scan = _scan_file(file, scan)
            task.advance()
    return scan.facts() if scan is not None else {"episodes": 0, "steps": 0, "observables": [], "not_finite": 0}


def _scan_file(file: RolloutFile, scan: _Scan | None) -> _Scan | None:
    for snippet in file.snippets:
        for episode in file[snippet]:
            if episode.num_values > h5.SMALL_ARRAY:
                raise InvalidInputError(f"{snippet}: episode {episode.index} claims {episode.num_values} values.")
            if scan is None:
                scan = _Scan.over(file, episode)
            elif not scan.fits(file):
                raise InvalidInputError("it holds other observables than the files before it.")
            scan.add(episode)
    return scan
