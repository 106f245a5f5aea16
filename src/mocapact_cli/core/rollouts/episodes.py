"""Running a given list of episodes to their ends in a batch of environments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mocapact_cli.core.envs.batch import EpisodeEnd, StepBatch, TrackingBatch
from mocapact_cli.core.envs.starts import EpisodeQueue
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.processors import available_threads
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.rollouts.noise import EpisodeNoise
from mocapact_cli.core.walker.model import NUM_JOINTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.rollouts.streams import Key
    from mocapact_cli.core.tasks.tracking import Start, TrackingConfig, TrackingTask
    from mocapact_cli.core.walker.model import Walker

    Float32Array = NDArray[np.float32]

ENVS_PER_THREAD = 32
"""Enough to keep all threads busy and the network's batches large."""
MAX_DEFAULT_ENVS = 256


@dataclass(frozen=True)
class PlannedEpisode:
    """One episode to run.

    Attributes:
        start: Its snippet and first step.
        key: Name of its random stream.
    """

    start: Start
    key: Key


@dataclass(frozen=True)
class Tick:
    """One control step of N environments.

    Attributes:
        episodes: (N,) which planned episode each environment was in; -1 for none.
        steps: (N,) how many steps of it had been taken before this one.
        observations: (N, P) before the step.
        means: (N, A) the policy's mean actions in [-1, 1].
        actions: (N, A) what was executed.
        result: What came of it.
    """

    episodes: NDArray[np.int64]
    steps: NDArray[np.int64]
    observations: Float32Array
    means: Float32Array
    actions: Float32Array
    result: StepBatch


class Actor(Protocol):
    """Gives mean actions for a batch."""

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        """Return mean actions (N, A) for observations (N, P) of the environments' planned episodes (-1 for none)."""


class Listener(Protocol):
    """Is told what happens while episodes run."""

    def on_tick(self, tick: Tick) -> None:
        """Take note of one control step; the arrays are the listener's to keep, not to change."""

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """Take note of the end of planned episode `index`, after the step that ended it."""


def default_num_envs(episodes: int, threads: int | None = None) -> int:
    """Return how many environments suit the machine and the number of episodes."""
    return max(1, min(episodes, ENVS_PER_THREAD * (threads or available_threads()), MAX_DEFAULT_ENVS))


def open_batch(
    snippets: Sequence[tuple[Clip, Snippet]] | TrackingTask,
    plan: Sequence[PlannedEpisode],
    *,
    observables: Sequence[str],
    config: TrackingConfig | None = None,
    num_envs: int | None = None,
    threads: int | None = None,
    walker: Walker | None = None,
) -> TrackingBatch:
    """Return a batch whose environments take the planned episodes one after the other.

    Args:
        snippets: (clip, snippet) pairs to track, or a task with its own settings.
        plan: The episodes.
        observables: What the environments show.
        config: How snippets are tracked; a task has its own.
        num_envs: Environments side by side, at most as many as episodes; chosen by machine and work if not given.
        threads: Threads of the physics; all cores if not given.
        walker: Defaults to the process's walker.
    """
    return TrackingBatch(
        snippets,
        num_envs=min(num_envs or default_num_envs(len(plan), threads), len(plan)),
        observables=observables,
        config=config,
        threads=threads,
        starts=EpisodeQueue([episode.start for episode in plan]),
        walker=walker,
    )


def run_episodes(
    batch: TrackingBatch,
    plan: Sequence[PlannedEpisode],
    actor: Actor,
    *,
    act_noise: float = 0.0,
    noise_from: int = 0,
    seed: int = 0,
    listeners: Sequence[Listener] = (),
    progress: Progress | None = None,
    description: str = "Episodes",
) -> list[EpisodeEnd]:
    """Run every planned episode to its end; nothing but the ends is kept, listeners see the rest as it happens.

    Args:
        batch: From `open_batch` with the same plan.
        plan: The episodes.
        actor: Gives the mean actions.
        act_noise: Standard deviation of the Gaussian noise added to them.
        noise_from: Step of every episode from which on it is added.
        seed: Of the noise.
        listeners: Told of every step and end.
        progress: Told of every end.
        description: What the progress bar calls this.

    Returns:
        The ends, in the order of the plan.
    """
    ends: dict[int, EpisodeEnd] = {}
    with (progress or NullProgress()).task(description, total=len(plan), unit="episodes") as task:
        noise: Any = {"act_noise": act_noise, "noise_from": noise_from, "seed": seed}
        for index, end in stream_episodes(batch, plan, actor, **noise, listeners=listeners):
            ends[index] = end
            task.advance()
    return [ends[index] for index in range(len(plan))]


def stream_episodes(
    batch: TrackingBatch,
    plan: Sequence[PlannedEpisode],
    actor: Actor,
    *,
    act_noise: float = 0.0,
    noise_from: int = 0,
    seed: int = 0,
    listeners: Sequence[Listener] = (),
) -> Iterator[tuple[int, EpisodeEnd]]:
    """Run every planned episode and yield its index and end, in the order of the ends; nothing is kept.

    The arguments are those of `run_episodes`.
    """
    noise: Any = {"act_noise": act_noise, "noise_from": noise_from, "seed": seed}
    for tick, ended in stream_ticks(batch, plan, actor, **noise):
        for listener in listeners:
            listener.on_tick(tick)
        for index, end in ended:
            for listener in listeners:
                listener.on_end(index, end)
            yield index, end


def stream_ticks(
    batch: TrackingBatch,
    plan: Sequence[PlannedEpisode],
    actor: Actor,
    *,
    act_noise: float = 0.0,
    noise_from: int = 0,
    seed: int = 0,
) -> Iterator[tuple[Tick, list[tuple[int, EpisodeEnd]]]]:
    """Run every planned episode, one control step whenever the next tick is asked for.

    The arguments are those of `run_episodes`.

    Yields:
        What the step was, and the indices and ends of the episodes that ended with it.
    """
    noise = EpisodeNoise(
        batch.num_envs, batch.task.longest, NUM_JOINTS, scale=act_noise, seed=seed, first_step=noise_from
    )
    runner = _Runner(batch, plan, noise)
    observations, left = batch.reset(), len(plan)
    while left:
        tick = runner.step(observations, actor)
        observations = tick.result.observations
        ended = runner.finish(tick)
        left -= len(ended)
        yield tick, ended


class _Runner:
    """Knows which planned episode each environment is in.

    A batch takes the first N starts of its queue at once, keeps the next N waiting, one for each environment, and
    then takes one for each environment that ends, in their order.
    """

    def __init__(self, batch: TrackingBatch, plan: Sequence[PlannedEpisode], noise: EpisodeNoise) -> None:
        self._batch, self._plan, self._noise = batch, plan, noise
        self._next = 0
        self._steps = np.zeros(batch.num_envs, dtype=np.int64)
        self._current = self._take(batch.num_envs)
        self._waiting = self._take(batch.num_envs)
        self._begin(np.arange(batch.num_envs))

    def step(self, observations: Float32Array, actor: Actor) -> Tick:
        """Take one control step in all environments."""
        means = np.clip(actor.means(observations, self._current), -1.0, 1.0)
        actions = self._noise.add(means, self._steps)
        result = self._batch.step(actions)
        return Tick(self._current.copy(), self._steps.copy(), observations, means, actions, result)

    def finish(self, tick: Tick) -> list[tuple[int, EpisodeEnd]]:
        """Move on to the next step, and to the next episode where one has ended; return the ended ones."""
        done = tick.result.done_envs
        ended = [(int(tick.episodes[end.env]), end) for end in tick.result.episodes]
        for index, end in ended:
            self._verify(index, end)
        self._steps += 1
        self._current[done] = self._waiting[done]
        self._waiting[done] = self._take(len(done))
        self._begin(done)
        return ended

    def _begin(self, envs: NDArray[np.integer]) -> None:
        self._steps[envs] = 0
        busy = [int(env) for env in envs if self._current[env] >= 0]
        self._noise.begin(busy, [self._plan[self._current[env]].key for env in busy])
        self._steps[self._current < 0] = 0

    def _take(self, count: int) -> NDArray[np.int64]:
        taken = np.arange(self._next, self._next + count)
        self._next += count
        return np.where(taken < len(self._plan), taken, -1)

    def _verify(self, index: int, end: EpisodeEnd) -> None:
        start = self._plan[index].start
        if (end.snippet_index, end.start_step) != (start.snippet_index, start.start_step):
            raise RunError(f"Episode {index} of the plan ran from another start than planned.")
