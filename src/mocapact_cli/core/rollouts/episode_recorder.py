"""From the steps of a batch to finished episodes, put together and written beside the physics."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from mocapact_cli.core.datasets.writer import EpisodeRecord
from mocapact_cli.core.rollouts.gae import generalized_advantages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.envs.batch import EpisodeEnd
    from mocapact_cli.core.rollouts.episodes import Tick
    from mocapact_cli.core.rollouts.plan import RolloutPlan
    from mocapact_cli.core.rollouts.supply import SeeingExpert, SnippetSupply

    Images = Mapping[str, NDArray[np.uint8]]

MAX_UNWRITTEN = 64
"""Ended episodes that may wait to be written before the physics waits for them."""


class Filming(Protocol):
    """Gives the images of episodes."""

    def finish(self, index: int, env: int) -> Future[Images]:
        """Return the images of planned episode `index`, which has just ended in environment `env`."""


class EpisodeRecorder:
    """A listener that puts every ended episode together and hands it on.

    The ticks are kept as they are, as far back as the oldest running episode began; an ended episode's rows are taken
    out of them on another thread.

    Args:
        plan: The episodes that run.
        supply: Gives the experts, and is told of the ends.
        writing: Takes (snippet, slot, what makes the record) of every ended episode.
        cameras: Gives the images, where they are recorded.
    """

    def __init__(
        self, plan: RolloutPlan, supply: SnippetSupply, writing: EpisodeWriting, cameras: Filming | None = None
    ) -> None:
        self._plan, self._supply, self._writing, self._cameras = plan, supply, writing, cameras
        self._ticks: deque[Tick] = deque()

    def on_tick(self, tick: Tick) -> None:
        """Keep one step of every environment, and forget what no running episode needs."""
        self._ticks.append(tick)
        for _ in range(len(self._ticks) - int(tick.steps.max()) - 1):
            self._ticks.popleft()

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """Hand the episode on."""
        snippet, slot = divmod(index, self._plan.episodes_each)
        expert = self._supply.expert(snippet)
        ticks = list(itertools.islice(self._ticks, len(self._ticks) - episode.length, None))
        images = self._cameras.finish(index, episode.env) if self._cameras else None
        make = functools.partial(assemble, ticks, episode, expert, images)
        self._writing.put(expert.expert.location.snippet, slot, make)
        self._supply.ended(snippet)


def assemble(
    ticks: Sequence[Tick], episode: EpisodeEnd, expert: SeeingExpert, images: Future[Images] | None = None
) -> EpisodeRecord:
    """Put an episode together from the ticks it lasted.

    Args:
        ticks: Its T steps, in all environments.
        episode: How it ended, and in which environment.
        expert: Who acted.
        images: Its images, once they are drawn.
    """
    env, last = episode.env, ticks[-1].result
    final = last.final_observations[int(np.searchsorted(last.done_envs, env))]
    observations = np.stack([*(tick.observations[env] for tick in ticks), final])
    rewards = np.array([tick.result.rewards[env] for tick in ticks])
    values = expert.values(observations[:-1])
    loaded = expert.expert
    record = EpisodeRecord(
        observations=observations,
        actions=np.stack([tick.actions[env] for tick in ticks]),
        mean_actions=np.stack([tick.means[env] for tick in ticks]),
        rewards=rewards,
        values=values,
        advantages=generalized_advantages(rewards, values, gamma=loaded.gamma, gae_lambda=loaded.gae_lambda),
        early_termination=episode.early_termination,
        episode_return=episode.episode_return,
        norm_return=episode.norm_return,
        norm_length=episode.norm_length,
        cameras=images.result() if images else {},
    )
    # Computed here, so that the thread that writes need not.
    _ = record.statistics
    return record


class EpisodeWriting:
    """Makes and writes records on threads of its own, in order, a bounded number at a time.

    Use it as a context manager: it ends when everything is written that can be.

    Args:
        write: Is given (snippet, slot, record).
        makers: Threads that make records.
    """

    def __init__(self, write: Callable[[Snippet, int, EpisodeRecord], None], makers: int) -> None:
        self._write = write
        self._makers = ThreadPoolExecutor(makers, thread_name_prefix="episodes")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._unwritten: deque[Future[None]] = deque()

    def put(self, snippet: Snippet, slot: int, make: Callable[[], EpisodeRecord]) -> None:
        """Write what `make` returns as episode `slot` of `snippet`.

        Raises:
            RunError: An earlier episode could not be written.
        """
        made = self._makers.submit(make)
        self._unwritten.append(self._writer.submit(lambda: self._write(snippet, slot, made.result())))
        while self._unwritten and (self._unwritten[0].done() or len(self._unwritten) > MAX_UNWRITTEN):
            self._unwritten.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # Also where something else has failed: what has ended may complete a clip.
        failures: tuple[type[BaseException], ...] = () if kind is None else (Exception,)
        try:
            while self._unwritten:
                with contextlib.suppress(*failures):
                    self._unwritten.popleft().result()
        finally:
            for pool in (self._makers, self._writer):
                pool.shutdown(cancel_futures=True)
