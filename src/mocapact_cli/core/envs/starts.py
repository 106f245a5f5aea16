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
    """Endless starts drawn from the task's own: random steps (RSI) or always a snippet's first one.

    Args:
        first_step_share: share of episodes that begin at their snippet's first step instead of at the drawn one. Only
            those live through a whole snippet, so without them a policy sees little of the drift that builds up.
    """

    def __init__(self, first_step_share: float = 0.0) -> None:
        self._first_step_share = first_step_share

    def reset(self, task: TrackingTask, rng: np.random.Generator) -> None:
        """Begin anew for a task with a random generator."""
        self._starts, probabilities = task.possible_starts()
        self._cumulative = np.cumsum(probabilities)
        self._first_steps = [snippet.start_step for snippet in task.snippets]
        self._rng = rng

    def next(self) -> Start:
        """A random start, with the task's probabilities."""
        index = int(np.searchsorted(self._cumulative, self._rng.random(), side="right"))
        start = self._starts[min(index, len(self._starts) - 1)]
        if self._first_step_share > 0.0 and self._rng.random() < self._first_step_share:
            return Start(start.snippet_index, self._first_steps[start.snippet_index])
        return start


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
