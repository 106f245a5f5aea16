"""Curves that go with a motion, and which of them are drawn together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.sim.rewards import CHANNEL_LIMITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

REWARD, ERROR = "reward", "error"
SPEED, HEIGHT = "speed", "height"
"""Names of curves; those of rewarded channels are the channels'."""


@dataclass(frozen=True)
class Chart:
    """Curves that are drawn together.

    Attributes:
        title: Above them, with their unit.
        curves: Their names.
        lowest: Where the vertical axis begins, at most.
        highest: Where it ends, at least.
        level: A value that is marked by a line; None for none.
    """

    title: str
    curves: tuple[str, ...]
    lowest: float
    highest: float
    level: float | None = None

    def span(self, values: Sequence[FloatArray]) -> tuple[float, float]:
        """Return where the vertical axis begins and ends, so that all `values` are seen; NaN are not."""
        known = np.concatenate([part[np.isfinite(part)] for part in values]) if values else np.zeros(0)
        if known.size == 0:
            return self.lowest, self.highest
        room = 0.05 * (self.highest - self.lowest)
        low, high = float(known.min()), float(known.max())
        return (
            low - room if low < self.lowest else self.lowest,
            high + room if high > self.highest else self.highest,
        )


def reward_chart() -> Chart:
    """Return the chart of a step's reward."""
    return Chart("Reward a step", (REWARD,), 0.0, 1.0)


def error_chart(threshold: float) -> Chart:
    """Return the chart of the termination error, with the `threshold` at which an episode fails marked."""
    return Chart("Termination error", (ERROR,), 0.0, 1.15 * threshold, level=threshold)


def channel_chart() -> Chart:
    """Return the chart of the parts of the reward for tracking."""
    limits = CHANNEL_LIMITS["comic"]
    return Chart("Reward by channel", tuple(limits), 0.0, max(limits.values()))
