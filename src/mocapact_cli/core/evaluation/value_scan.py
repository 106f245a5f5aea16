"""Reading every value of rollouts once, in bounded memory: ranges, actions at their limits, what is not finite."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.datasets import schema
from mocapact_cli.core.datasets.reader import RolloutFile, check_columns, column_numbers
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.evaluation.column_ranges import LISTED, PERCENTILES, ColumnRanges, first_place
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.safe import h5

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mocapact_cli.core.datasets.reader import Episode
    from mocapact_cli.core.progress import Progress, ProgressTask

    Float32Array = NDArray[np.float32]

Facts = dict[str, Any]
_SCALARS = ("rewards", "values", "advantages")
_LIMIT = 1.0


@dataclass
class _Scan:
    """What has been seen so far."""

    observables: Mapping[str, NDArray[np.int64]]
    observations: ColumnRanges
    actions: ColumnRanges
    scalars: dict[str, ColumnRanges]
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
        ranges = {name: ColumnRanges.of_width(1) for name in _SCALARS}
        columns = column_numbers(file)
        check_columns(columns, width)
        return cls(columns, ColumnRanges.of_width(width), ColumnRanges.of_width(actions), ranges)

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
        if not bad.any():
            return
        self.not_finite += int(bad.sum())
        place = {"snippet": episode.snippet, "episode": episode.index, **first_place(array, bad)}
        if array == "observations":
            place |= {"observable": self._owner(place["column"])}
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
        progress: Told about every episode.

    Returns:
        `episodes`, `steps`, `observables` (for each its `range` at `percentiles` and `constant_columns`), `actions`
        (also how many are at or beyond -1 or 1), ranges of `rewards`, `values` and `advantages`, and `not_finite`
        with the first place in each array that holds such values.

    Raises:
        InvalidInputError: A file is damaged.
    """
    scan: _Scan | None = None
    with progress.task("Reading all values", None, "episodes") as task:
        for path in paths:
            with RolloutFile(path) as file, h5.damage_named(path):
                scan = _scan_file(file, scan, task)
    return scan.facts() if scan is not None else {"episodes": 0, "steps": 0, "observables": [], "not_finite": 0}


def _scan_file(file: RolloutFile, scan: _Scan | None, task: ProgressTask) -> _Scan | None:
    if scan is not None and not scan.fits(file):
        raise InvalidInputError("it holds other observables than the files before it.")
    for snippet in file.snippets:
        for episode in file[snippet]:
            if episode.num_values > h5.SMALL_ARRAY:
                raise InvalidInputError(f"{snippet}: episode {episode.index} claims {episode.num_values} values.")
            scan = scan or _Scan.over(file, episode)
            scan.add(episode)
            task.advance()
    return scan
