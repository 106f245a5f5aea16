"""Which episodes a recording consists of."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from mocapact_cli.core.rollouts.episodes import PlannedEpisode
from mocapact_cli.core.rollouts.streams import STARTS, stream, text_key
from mocapact_cli.core.tasks.tracking import Start

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from mocapact_cli.core.rollouts.config import RolloutConfig
    from mocapact_cli.core.tasks.tracking import TrackingTask

_SNIPPETS_AT_HAND = 1024


class RolloutPlan(Sequence[PlannedEpisode]):
    """The episodes of every snippet, snippet after snippet, starts first; drawn when they are asked for.

    Each episode has a random stream, named by snippet and slot, so it depends on no other snippet of the plan.

    Args:
        task: What is tracked.
        config: How many episodes of each snippet, and the seed.
    """

    def __init__(self, task: TrackingTask, config: RolloutConfig) -> None:
        self._task, self._config = task, config
        self.episodes_each = config.episodes_each
        self._episodes = functools.lru_cache(maxsize=_SNIPPETS_AT_HAND)(self._draw)

    def __len__(self) -> int:
        return self.episodes_each * len(self._task.snippets)

    @overload
    def __getitem__(self, index: int) -> PlannedEpisode: ...

    @overload
    def __getitem__(self, index: slice) -> list[PlannedEpisode]: ...

    def __getitem__(self, index: int | slice) -> PlannedEpisode | list[PlannedEpisode]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} episodes, there is no {index}")
        snippet, slot = divmod(int(index), self.episodes_each)
        return self._episodes(snippet)[slot]

    def snippets_of(self, episodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the snippet of each episode; a negative number for -1, which stands for no episode."""
        return episodes // self.episodes_each

    def _draw(self, index: int) -> list[PlannedEpisode]:
        config, snippet = self._config, self._task.snippets[index]
        name = text_key(str(snippet))
        rng = stream(config.seed, (name, STARTS))
        offsets = [0] * config.n_start_rollouts
        offsets += rng.integers(self._task.num_starts(index), size=config.n_rsi_rollouts).tolist()
        return [
            PlannedEpisode(Start(index, snippet.start_step + offset), (name, slot))
            for slot, offset in enumerate(offsets)
        ]


class SnippetQueue:
    """The starts of a plan in order; it says when a snippet's first episode is near.

    Args:
        plan: The episodes.
        open_snippet: Called with a snippet's index before any of its episodes begins.
    """

    def __init__(self, plan: RolloutPlan, open_snippet: Callable[[int], None]) -> None:
        self._plan, self._open = plan, open_snippet
        self._next = self._opened = 0

    def reset(self, task: TrackingTask, rng: np.random.Generator) -> None:
        """Begin anew with the whole plan."""
        del task, rng
        self._next = self._opened = 0

    def next(self) -> Start | None:
        """The next start; None after the last."""
        if self._next == len(self._plan):
            return None
        start = self._plan[self._next].start
        self._next += 1
        if start.snippet_index == self._opened:
            self._open(start.snippet_index)
            self._opened += 1
        return start

    def ended(self, start: Start, norm_length: float) -> None:
        """Nothing: the plan is given."""
