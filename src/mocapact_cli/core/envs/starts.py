"""Where the episodes of a batch begin."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from mocapact_cli.core.tasks.tracking import Start, TrackingTask
from mocapact_cli.core.walker.model import FloatArray

MAX_SEED = 2**63 - 1
"""Seeds of episodes are below it."""


class StartSampler(Protocol):
    """Chooses the next episode of an environment."""

    def reset(self, task: TrackingTask, rng: np.random.Generator) -> None:
        """Begin anew for a task with a random generator."""

    def next(self) -> Start | None:
        """The next start; None when there is nothing left to do."""

    def ended(self, start: Start, norm_length: float) -> None:
        """Hear how long an episode from `start` lasted, as a share of what was possible."""


class TaskStarts:
    """Endless starts drawn from the task's own: random steps (RSI) or always a snippet's first one."""

    def reset(self, task: TrackingTask, rng: np.random.Generator) -> None:
        """Begin anew for a task with a random generator."""
        self._starts, probabilities = task.possible_starts()
        self._cumulative = np.cumsum(probabilities)
        self._rng, self._draws = rng, task.draws

    def next(self) -> Start:
        """A random start, with the task's probabilities."""
        index = int(np.searchsorted(self._cumulative, self._rng.random(), side="right"))
        start = self._starts[min(index, len(self._starts) - 1)]
        return replace(start, seed=int(self._rng.integers(MAX_SEED))) if self._draws else start

    def ended(self, start: Start, norm_length: float) -> None:
        """Nothing: these starts do not depend on what becomes of them."""


class FailureStarts:
    """Random starts that favour those from which episodes fail.

    A start's probability is the task's times `floor` plus what a running mean says of the share of the snippet that
    episodes from there, and from the steps beside it, did not reach. Starts that no longer fail teach little; in the
    second half of a short snippet the motion ends before a fall could.

    Args:
        first_step_share: Share of episodes that begin at their snippet's first step instead of at the drawn one. Only
            those live through a whole snippet.
        floor: Added to every start's missing share, so that none is forgotten; None for the task's own probabilities.
    """

    def __init__(self, first_step_share: float = 0.0, floor: float | None = 0.03) -> None:
        self._first_step_share, self._floor = first_step_share, floor
        self._missing: FloatArray | None = None

    @property
    def missing(self) -> FloatArray:
        """(K,) mean missing share of each of the task's possible starts; empty before the first reset."""
        return np.zeros(0) if self._missing is None else self._missing

    def restore(self, missing: ArrayLike) -> None:
        """Go on from what `missing` was."""
        self._missing = np.array(missing, dtype=np.float64)

    def reset(self, task: TrackingTask, rng: np.random.Generator) -> None:
        """Begin anew for the same task with a random generator; what is known of its starts is kept."""
        self._starts, self._probabilities = task.possible_starts()
        self._place = {start: place for place, start in enumerate(self._starts)}
        self._first_steps = [snippet.start_step for snippet in task.snippets]
        self._rng = rng
        if self._missing is None:
            self._missing = np.full(len(self._starts), _MISSING_AT_FIRST)

    def next(self) -> Start:
        """A random start."""
        weights = self._probabilities * (1.0 if self._floor is None else self._floor + self.missing)
        cumulative = np.cumsum(weights)
        drawn = self._rng.random() * cumulative[-1]
        start = self._starts[min(int(np.searchsorted(cumulative, drawn, side="right")), len(self._starts) - 1)]
        if self._first_step_share > 0.0 and self._rng.random() < self._first_step_share:
            return Start(start.snippet_index, self._first_steps[start.snippet_index])
        return start

    def ended(self, start: Start, norm_length: float) -> None:
        """Remember how much of the snippet an episode missed, for its start and a little for its neighbours."""
        missed = 1.0 - min(1.0, norm_length)
        for offset, share in _NEIGHBOURS.items():
            place = self._place.get(Start(start.snippet_index, start.start_step + offset))
            if place is not None:
                self.missing[place] += share * (missed - self.missing[place])


_MISSING_AT_FIRST = 0.3
_NEIGHBOURS = {-1: 0.05, 0: 0.15, 1: 0.05}


class EpisodeQueue:
    """A given list of starts, each used once, in order.

    Args:
        starts: The episodes to run.
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

    def ended(self, start: Start, norm_length: float) -> None:
        """Nothing: the list is given."""

    def __len__(self) -> int:
        return len(self._all)
