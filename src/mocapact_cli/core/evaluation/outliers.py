"""What stands out in a dataset, from the numbers that its files keep ready: nothing large is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.datasets.statistics import RolloutStatistics

Facts = dict[str, Any]
METRICS = ("norm_return", "norm_length", "return", "length")
FAR = 3.5
"""Robust deviations from the median at which a snippet counts as an outlier (Iglewicz and Hoaglin, 1993)."""
MIN_SNIPPETS = 6
"""Fewer have no spread worth the name."""
_SCALE = 0.6745
_MIN_SPREAD = 0.02
"""Share of the median below which a spread is none: nearly equal numbers have no outliers."""
_EXTREME = 1e4
"""Mean or standard deviation of a column above which it cannot be metres, radians or velocities of a walker."""


def snippet_outliers(rows: Sequence[Mapping[str, Any]]) -> list[Facts]:
    """Return the snippets whose mean metrics lie far from the others', farthest first.

    The distance is the modified z-score: 0.6745 (value - median) / median absolute deviation.

    Args:
        rows: Facts of the snippets, with `snippet` and the metrics as mappings with `mean` (or None).
    """
    found = [outlier for metric in METRICS for outlier in _of_metric(rows, metric)]
    return sorted(found, key=lambda outlier: -abs(outlier["deviations"]))


def _of_metric(rows: Sequence[Mapping[str, Any]], metric: str) -> list[Facts]:
    named = [(row["snippet"], row[metric]["mean"]) for row in rows if row.get(metric)]
    named = [(name, value) for name, value in named if np.isfinite(value)]
    if len(named) < MIN_SNIPPETS:
        return []
    values = np.array([value for _, value in named])
    median = float(np.median(values))
    spread = max(float(np.median(np.abs(values - median))), _MIN_SPREAD * abs(median))
    scores = _SCALE * (values - median) / spread if spread else np.zeros(len(values))
    return [
        {"snippet": name, "metric": metric, "value": float(value), "median": median, "deviations": float(score)}
        for (name, value), score in zip(named, scores, strict=True)
        if abs(score) > FAR
    ]


def observable_statistics(statistics: RolloutStatistics, observables: Mapping[str, NDArray[np.int64]]) -> list[Facts]:
    """Return for each observable its number of `columns`, their `mean` and `std`, and how many are `constant`.

    Args:
        statistics: Of one file or of all.
        observables: Name -> the numbers of its columns.
    """
    return [
        {"observable": name, "columns": len(numbers), **_pooled(statistics, numbers)}
        for name, numbers in observables.items()
    ]


def _pooled(statistics: RolloutStatistics, numbers: NDArray[np.int64]) -> Facts:
    known = numbers[(numbers >= 0) & (numbers < len(statistics.proprio.mean))]
    mean, var = statistics.proprio.mean[known], statistics.proprio.var[known]
    if not len(known):
        return {"mean": None, "std": None, "constant": 0}
    # The variance of all columns' values together is that inside the columns plus that of their means.
    with np.errstate(invalid="ignore", over="ignore"):
        spread = float(np.sqrt(var.mean() + mean.var()))
    return {"mean": float(mean.mean()), "std": spread, "constant": int((var == 0).sum())}


def column_notes(statistics: RolloutStatistics, observables: Mapping[str, NDArray[np.int64]]) -> Facts:
    """Return what the stored means and variances say about single columns.

    Args:
        statistics: Of one file or of all.
        observables: Name -> the numbers of its columns.

    Returns:
        `constant`, `extreme` and `not_finite`, each a list of `{observable, columns}` with positions inside the
        observable, where there are any.
    """
    mean, var = statistics.proprio.mean, statistics.proprio.var
    with np.errstate(invalid="ignore"):
        tests = {
            "constant": var == 0,
            "extreme": (np.abs(mean) > _EXTREME) | (var > _EXTREME**2),
            "not_finite": ~(np.isfinite(mean) & np.isfinite(var)),
        }
    return {name: _columns(flags, observables) for name, flags in tests.items() if flags.any()}


def _columns(flags: NDArray[np.bool_], observables: Mapping[str, NDArray[np.int64]]) -> list[Facts]:
    inside = {name: numbers[(numbers >= 0) & (numbers < len(flags))] for name, numbers in observables.items()}
    marked = {name: np.flatnonzero(flags[numbers]).tolist() for name, numbers in inside.items()}
    return [{"observable": name, "columns": columns} for name, columns in marked.items() if columns]
