"""Where the episodes of a batch begin."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from mocapact_cli.core.tasks.tracking import Start, TrackingTask


class StartSampler(Protocol):
    """Chooses the next episode of an environment."""

    def reset(self, task: TrackingTask, rng: np.random.Generator) -> None:
        """Begin anew for a task with a random generator."""

    def next(self) -> Start | None:
        """The next start; None when there is nothing left to do."""


class TaskStarts:
    """Endless starts drawn from the task's own: random steps (RSI) or always a snippet's first one."""

    def reset(self, task: TrackingTask, rng: np.random.Generator) -> None:
        """Begin anew for a task with a random generator."""
        self._starts, probabilities = task.possible_starts()
        self._cumulative = np.cumsum(probabilities)
        self._rng = rng

    def next(self) -> Start:
        """A random start, with the task's probabilities."""
        index = int(np.searchsorted(self._cumulative, self._rng.random(), side="right"))
        return self._starts[min(index, len(self._starts) - 1)]


class EpisodeQueue:
    """A given list of starts, each used once, in order.

    Args:
        starts: the episodes to run.
    """

    def __init__(self, starts: Iterable[Start]) -> None:
        self._all = tuple(starts)
        self._left: deque[Start] = deque()

    def reset(self, task: TrackingTask, rng: np.random.Generator) -> None:
        """Begin anew with the whole list."""
        del task, rng
        self._left = deque(self._all)

    def next(self) -> Start | None:
        """The next start of the list; None after the last."""
        return self._left.popleft() if self._left else None

    def __len__(self) -> int:
        return len(self._all)
