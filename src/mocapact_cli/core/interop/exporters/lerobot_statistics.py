"""The statistics that LeRobot keeps of each feature, per episode and for the whole dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}

FeatureStatistics = dict[str, "NDArray[Any]"]
"""min, max, mean, std, count (1,) and the quantiles; a vector of the feature's size each, (3, 1, 1) for images."""


def array_statistics(rows: NDArray[Any]) -> FeatureStatistics:
    """Return the statistics of (T,) or (T, size) rows, in float64."""
    values = rows.reshape(len(rows), -1).astype(np.float64)
    # Sorted once for all quantiles, with NumPy's linear interpolation between neighbours.
    ordered = np.sort(values, axis=0)
    found = {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
        "count": np.array([len(rows)]),
    }
    return found | {name: _quantile(ordered, share) for name, share in QUANTILES.items()}


def image_statistics(images: NDArray[np.uint8]) -> FeatureStatistics:
    """Return the statistics of (T, height, width, 3) images by channel, in units of full brightness."""
    found = array_statistics(images.reshape(-1, images.shape[-1]))
    scaled = {name: (values / 255.0).reshape(-1, 1, 1) for name, values in found.items() if name != "count"}
    return scaled | {"count": np.array([len(images)])}


def as_cell(values: NDArray[Any]) -> Any:
    """Return a statistic as one cell of a table."""
    return values if values.ndim == 1 else values.tolist()


def _quantile(ordered: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return np.asarray(ordered[below] + (place - below) * (ordered[above] - ordered[below]))


@dataclass
class Statistics:
    """Statistics of a growing number of episodes, combined by LeRobot's own rule: quantiles are averaged by count."""

    features: dict[str, FeatureStatistics] = field(default_factory=dict)

    def merge(self, episode: Mapping[str, FeatureStatistics]) -> None:
        """Add one episode's statistics."""
        for name, found in episode.items():
            self.features[name] = _merged(self.features[name], found) if name in self.features else found

    def as_json(self) -> dict[str, dict[str, list[Any]]]:
        """Return them as plain lists."""
        return {name: {key: values.tolist() for key, values in found.items()} for name, found in self.features.items()}


def _merged(ours: FeatureStatistics, theirs: FeatureStatistics) -> FeatureStatistics:
    counts = np.array([ours["count"][0], theirs["count"][0]], dtype=np.float64)
    shares = counts / counts.sum()

    def average(name: str) -> NDArray[np.float64]:
        return np.asarray(shares[0] * ours[name] + shares[1] * theirs[name])

    mean = average("mean")
    spread = sum(
        share * (part["std"] ** 2 + (part["mean"] - mean) ** 2)
        for share, part in zip(shares, (ours, theirs), strict=True)
    )
    return {
        "min": np.minimum(ours["min"], theirs["min"]),
        "max": np.maximum(ours["max"], theirs["max"]),
        "mean": mean,
        "std": np.sqrt(spread),
        "count": ours["count"] + theirs["count"],
    } | {name: average(name) for name in QUANTILES}
