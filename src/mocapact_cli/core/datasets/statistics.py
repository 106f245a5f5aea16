"""Mean and variance of a stream of rows, added up exactly in parts and merged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from numpy.typing import NDArray


@dataclass
class RunningStatistics:
    """Count, mean and sum of squared deviations of rows of `size` numbers, in float64.

    Parts are merged by the pairwise update of Chan, Golub and LeVeque (1979), which loses no digits to large means.

    Attributes:
        count: Number of rows seen.
        mean: (size,) mean of the rows.
        deviations: (size,) sum of squared deviations from the mean.
    """

    count: int
    mean: NDArray[np.float64]
    deviations: NDArray[np.float64]

    @classmethod
    def empty(cls, size: int) -> RunningStatistics:
        """Return statistics of no rows yet."""
        return cls(0, np.zeros(size), np.zeros(size))

    @classmethod
    def of_moments(cls, count: int, mean: NDArray[np.floating], var: NDArray[np.floating]) -> RunningStatistics:
        """Return the statistics of `count` rows whose mean and population variance are known."""
        return cls(count, np.asarray(mean, dtype=np.float64), np.asarray(var, dtype=np.float64) * count)

    @classmethod
    def of_rows(cls, rows: NDArray[np.floating]) -> RunningStatistics:
        """Return the statistics of `rows` (n, size)."""
        if len(rows) == 0:
            return cls.empty(rows.shape[1])
        part = np.asarray(rows, dtype=np.float64)
        mean = part.mean(axis=0)
        return cls(len(part), mean, np.square(part - mean).sum(axis=0))

    @property
    def var(self) -> NDArray[np.float64]:
        """(size,) population variance; zero where nothing was seen."""
        return self.deviations / max(self.count, 1)

    def update(self, rows: NDArray[np.floating]) -> None:
        """Add `rows` (n, size)."""
        if len(rows) > 0:
            self.merge(self.of_rows(rows))

    def merge(self, other: RunningStatistics) -> None:
        """Add the rows that `other` has seen."""
        total = self.count + other.count
        if total == 0:
            return
        delta = other.mean - self.mean
        self.mean = self.mean + delta * (other.count / total)
        self.deviations = self.deviations + other.deviations + np.square(delta) * (self.count * other.count / total)
        self.count = total


@dataclass
class RolloutStatistics:
    """Statistics of the observations and actions of a rollout file or a whole dataset.

    Attributes:
        proprio: Over the observations, T + 1 rows an episode.
        act: Over the sampled actions, T rows an episode.
        mean_act: Over the mean actions, T rows an episode.
    """

    proprio: RunningStatistics
    act: RunningStatistics
    mean_act: RunningStatistics

    @classmethod
    def empty(cls, obs_size: int, act_size: int) -> RolloutStatistics:
        """Return statistics of nothing yet for `obs_size` columns and `act_size` actions."""
        empty = RunningStatistics.empty
        return cls(empty(obs_size), empty(act_size), empty(act_size))

    def merge(self, other: RolloutStatistics) -> None:
        """Add what `other` has seen."""
        self.proprio.merge(other.proprio)
        self.act.merge(other.act)
        self.mean_act.merge(other.mean_act)

    def copy(self) -> RolloutStatistics:
        """Return a copy that merging does not share."""
        return RolloutStatistics(*(replace(part) for part in (self.proprio, self.act, self.mean_act)))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return them under the names and types of the published files, plus `act_count`.

        Those of the mean actions are left out where none were seen.
        """
        named = {"proprio": self.proprio, "act": self.act} | (
            {"mean_act": self.mean_act} if self.mean_act.count else {}
        )
        moments: dict[str, NDArray[np.generic]] = {
            f"{name}_{moment}": getattr(part, moment).astype(np.float32)
            for name, part in named.items()
            for moment in ("mean", "var")
        }
        return moments | {"count": np.array(self.proprio.count), "act_count": np.array(self.act.count)}


class OrderedStatistics:
    """Adds parts up in an order of its own, whatever order they arrive in, so that the digits do not depend on it.

    Only parts whose turn has not come yet are kept.

    Args:
        order: Names of the parts, in the order in which they are added up.
    """

    def __init__(self, order: Iterable[Hashable]) -> None:
        self._order = iter(order)
        self._next = next(self._order, None)
        self._early: dict[Hashable, RolloutStatistics] = {}
        self._total: RolloutStatistics | None = None

    @property
    def total(self) -> RolloutStatistics:
        """The sum of all parts up to the first one that is missing; of nothing before the first one is there."""
        return self._total or RolloutStatistics.empty(0, 0)

    def add(self, name: Hashable, part: RolloutStatistics) -> None:
        """Take in a part."""
        self._early[name] = part
        while self._next in self._early:
            ready = self._early.pop(self._next)
            if self._total is None:
                self._total = ready.copy()
            else:
                self._total.merge(ready)
            self._next = next(self._order, None)


def corrected_action_moments(
    mean: NDArray[np.floating], var: NDArray[np.floating], count: int, act_count: int
) -> RunningStatistics:
    """Undo the scaling of action statistics in files of the original project.

    They divide the sums over `act_count` actions (T an episode) by `count` observations (T + 1 an episode):
    mean' = sum(a) / count and var' = sum(a^2) / count - mean'^2.
    """
    mean, var = np.asarray(mean, dtype=np.float64), np.asarray(var, dtype=np.float64)
    scale = count / max(act_count, 1)
    true_mean = mean * scale
    true_var = (var + np.square(mean)) * scale - np.square(true_mean)
    return RunningStatistics.of_moments(act_count, true_mean, np.maximum(true_var, 0.0))
