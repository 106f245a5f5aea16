"""A batch of tracking environments that is stepped on threads.

Threads take one simulation after the other and step it. The simulations are grouped into shards: the thread that steps
the last one of a shard computes the shard's rewards and endings, resets what has ended and writes its observations,
while the others go on. MuJoCo and large NumPy operations release the interpreter's lock. What a shard computes never
depends on the thread that computes it, so results do not depend on the number of threads.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.shard import EpisodeRecord, Shard, ShardResult
from mocapact_cli.core.envs.starts import StartSampler, TaskStarts
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.processors import available_threads
from mocapact_cli.core.sim.observables import ObservableLayout
from mocapact_cli.core.tasks.tracking import BoolArray, Start, TrackingConfig, TrackingCursor, TrackingTask
from mocapact_cli.core.walker.model import NUM_JOINTS, FloatArray, IntArray, Walker, get_walker

Float32Array = NDArray[np.float32]
_SWITCH_INTERVAL = 2e-5


@dataclass(frozen=True)
class EpisodeEnd:
    """An episode that has ended."""

    env: int
    snippet_index: int
    start_step: int
    """Step in the clip at which it began."""
    length: int
    """Control steps."""
    episode_return: float
    norm_length: float
    """Length as a share of the steps from the start to the snippet's last one."""
    norm_return: float
    """Mean reward a step times the normalized length."""
    early_termination: bool
    """The error passed the threshold, the walker fell, or the simulation diverged."""
    diverged: bool
    measures: dict[str, float] = field(default_factory=dict)
    """What the task itself measures, by name."""


@dataclass(frozen=True)
class StepBatch:
    """The outcome of a control step in N environments.

    Attributes:
        observations: (N, P) of the next episode where one has ended.
        rewards: (N,).
        channels: The reward's parts by name, (N,) each.
        terminated: (N,) failed.
        truncated: (N,) reached the snippet's end without failing.
        active: (N,) had an episode during this step.
        done_envs: (k,) indices where an episode has ended, ascending.
        final_observations: (k, P) their last observations.
        episodes: Their records.
    """

    observations: Float32Array
    rewards: FloatArray
    channels: dict[str, FloatArray]
    terminated: BoolArray
    truncated: BoolArray
    active: BoolArray
    done_envs: IntArray
    final_observations: Float32Array
    episodes: list[EpisodeEnd]


@dataclass(frozen=True)
class Reached:
    """What a control step led to in N environments, before any of them began its next episode.

    A simulation that has diverged holds values that mean nothing.

    Attributes:
        qpos: (N, 63).
        qvel: (N, 62).
        body_positions: (N, 31, 3) metres, world frame.
        body_quaternions: (N, 31, 4), scalar first.
        rows: (N,) rows of the task's reference bank at the same moment.
    """

    qpos: FloatArray
    qvel: FloatArray
    body_positions: FloatArray
    body_quaternions: FloatArray
    rows: IntArray


class TrackingBatch:
    """N environments that track snippets, stepped together; an environment that has ended begins its next episode.

    Args:
        snippets: (clip, snippet) pairs to track, or a task that has its settings.
        num_envs: N.
        observables: Names of what a policy sees, in order.
        config: The task's settings.
        threads: Threads that step; default: the processors this process may use.
        seed: Of starts and action noise.
        weights: Relative probability of each snippet's starts.
        starts: Where episodes begin; default: as the task says.
        walker: The body; default `get_walker`.
    """

    def __init__(
        self,
        snippets: Sequence[tuple[Clip, Snippet]] | TrackingTask,
        *,
        num_envs: int,
        observables: Sequence[str],
        config: TrackingConfig | None = None,
        threads: int | None = None,
        seed: int = 0,
        weights: Sequence[float] | None = None,
        starts: StartSampler | None = None,
        walker: Walker | None = None,
    ) -> None:
        if num_envs < 1:
            raise UsageError(f"A batch needs at least one environment, not {num_envs}.")
        if not isinstance(snippets, TrackingTask):
            snippets = TrackingTask(snippets, config or TrackingConfig(), weights)
        self.task, self.config = snippets, snippets.config
        self.walker = walker or get_walker()
        self.layout = ObservableLayout(observables, self.config.ref_steps, self.task.own_observables)
        self.num_envs = num_envs
        self.threads = min(threads or available_threads(), num_envs)
        self._sampler: StartSampler = starts or TaskStarts()
        self._bounds = _shard_bounds(num_envs, self.threads)
        self._shards = [
            Shard(self.task, self.walker, self.layout, end - begin)
            for begin, end in zip(self._bounds, self._bounds[1:], strict=False)
        ]
        self._places = [(number, env) for number, shard in enumerate(self._shards) for env in range(shard.size)]
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="physics")
        self._seed = seed
        self._queued: list[Start | None] = [None] * num_envs

    @property
    def observables(self) -> tuple[str, ...]:
        """Names of the observables in the order of the observations' columns."""
        return self.layout.names

    @property
    def obs_size(self) -> int:
        """Columns P of an observation."""
        return self.layout.size

    @property
    def snippets(self) -> list[Snippet]:
        """The tracked snippets, as `EpisodeEnd.snippet_index` counts them."""
        return self.task.snippets

    def reset(self, seed: int | None = None) -> Float32Array:
        """Begin an episode in every environment.

        Args:
            seed: Restart all random draws from this seed.

        Returns:
            (N, P) first observations.
        """
        if seed is not None:
            self._seed = seed
        start_seed, noise_seed = np.random.SeedSequence(self._seed).spawn(2)
        self._noise_rng = np.random.Generator(np.random.PCG64(noise_seed))
        self._sampler.reset(self.task, np.random.Generator(np.random.PCG64(start_seed)))
        first = [self._sampler.next() for _ in range(self.num_envs)]
        self._queued = [self._sampler.next() for _ in range(self.num_envs)]
        self._seed += 1
        results = self._pool.map(lambda shard, span: shard.reset(first[span]), self._shards, self._spans())
        return np.concatenate(list(results))

    def step(self, actions: ArrayLike) -> StepBatch:
        """Advance every environment by one control step.

        Args:
            actions: (N, 56) position targets in [-1, 1]; a row with a non-finite entry ends its episode as a failure.

        Raises:
            UsageError: If the shape is another.
        """
        actions = self._noisy(np.asarray(actions, dtype=np.float64))
        for shard, span in zip(self._shards, self._spans(), strict=True):
            shard.prepare(actions[span])
        results: list[ShardResult | None] = [None] * len(self._shards)
        turn = itertools.count()
        with _quick_switching():
            for future in [self._pool.submit(self._work, turn, results) for _ in range(self.threads)]:
                future.result()
        finished = [result for result in results if result is not None]
        merged = self._merge(finished)
        self._refill(merged.episodes)
        return merged

    def poses(self) -> tuple[FloatArray, FloatArray]:
        """Copies of the current qpos (N, 63) and of the reference's (N, 63) at the same moment."""
        pairs = [shard.poses() for shard in self._shards]
        return np.concatenate([pair[0] for pair in pairs]), np.concatenate([pair[1] for pair in pairs])

    def reached(self) -> Reached:
        """Copies of the states that the last step led to: of episodes that it ended, their last ones."""
        features = [(shard.physics.features, shard.size) for shard in self._shards]
        names = ("qpos", "qvel", "body_positions", "body_quaternions")
        states = {name: np.concatenate([getattr(part, name)[:size] for part, size in features]) for name in names}
        return Reached(**states, rows=np.concatenate([shard.reached for shard in self._shards]))

    def cursors(self) -> list[TrackingCursor]:
        """What follows the episodes of each shard: the environments in order, as they are spread over the threads."""
        return [shard.cursor for shard in self._shards]

    def starts(self) -> list[Start | None]:
        """Where the current episode of each environment began; None where there is none."""
        return [start for shard in self._shards for start in shard.starts]

    def reference_rows(self, ahead: int) -> IntArray:
        """(N,) rows of the task's reference bank `ahead` steps from now (the last ones near the clip's end)."""
        return np.concatenate([shard.cursor.rows(shard.size, ahead) for shard in self._shards])

    def push(self, env: int, velocity: FloatArray) -> None:
        """Shove the walker of an environment between two steps.

        Args:
            env: The environment.
            velocity: (3,) what is added to the velocity of all its parts, m/s, world frame.
        """
        number, place = self._places[env]
        self._shards[number].physics.push(place, velocity)

    def close(self) -> None:
        """Release the threads."""
        self._pool.shutdown()

    def __enter__(self) -> TrackingBatch:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _work(self, turn: Iterator[int], results: list[ShardResult | None]) -> None:
        """Step simulations one by one until none is left, and finish each shard whose last one this was."""
        for index in turn:
            if index >= self.num_envs:
                return
            number, env = self._places[index]
            if self._shards[number].advance(env):
                begin, end = self._bounds[number : number + 2]
                results[number] = self._shards[number].finish(self._queued[begin:end])

    def _spans(self) -> list[slice]:
        return [slice(begin, end) for begin, end in zip(self._bounds, self._bounds[1:], strict=False)]

    def _noisy(self, actions: FloatArray) -> FloatArray:
        if actions.shape != (self.num_envs, NUM_JOINTS):
            raise UsageError(f"Actions have shape {actions.shape}; {(self.num_envs, NUM_JOINTS)} is needed.")
        if self.config.act_noise > 0.0:
            return actions + self.config.act_noise * self._noise_rng.standard_normal(actions.shape)
        return actions

    def _refill(self, ended: Sequence[EpisodeEnd]) -> None:
        """Draw the next starts in the order of the environments, whichever thread was first."""
        for episode in ended:
            self._sampler.ended(Start(episode.snippet_index, episode.start_step), episode.norm_length)
        for episode in ended:
            self._queued[episode.env] = self._sampler.next()

    def _merge(self, results: Sequence[ShardResult]) -> StepBatch:
        def joined(name: str) -> NDArray[np.generic]:
            return np.concatenate([getattr(result, name) for result in results])

        episodes = [
            _episode_end(self.task, begin + record.env, record)
            for begin, result in zip(self._bounds, results, strict=False)
            for record in result.records
        ]
        return StepBatch(
            observations=joined("observations"),  # type: ignore[arg-type]
            rewards=joined("rewards"),  # type: ignore[arg-type]
            channels={name: np.concatenate([r.channels[name] for r in results]) for name in results[0].channels},
            terminated=joined("terminated"),  # type: ignore[arg-type]
            truncated=joined("truncated"),  # type: ignore[arg-type]
            active=joined("active"),  # type: ignore[arg-type]
            done_envs=np.array([episode.env for episode in episodes], dtype=np.intp),
            final_observations=joined("final_observations"),  # type: ignore[arg-type]
            episodes=episodes,
        )


@contextlib.contextmanager
def _quick_switching() -> Iterator[None]:
    """Let threads that return from the physics take the interpreter's lock at once.

    One that observes a shard holds the lock for about a millisecond; with Python's usual switch interval of five the
    other threads would wait for it instead of stepping.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _shard_bounds(num_envs: int, threads: int) -> list[int]:
    """Boundaries of nearly equal shards, one a thread: fewer and larger arrays cost less than finer pieces save."""
    return [round(index * num_envs / threads) for index in range(threads + 1)]


def _episode_end(task: TrackingTask, env: int, record: EpisodeRecord) -> EpisodeEnd:
    # Above one where an episode goes on beyond its snippet, which is worth nothing.
    share = record.length / task.steps_left(record.start)
    return EpisodeEnd(
        env=env,
        snippet_index=record.start.snippet_index,
        start_step=record.start.start_step,
        length=record.length,
        episode_return=record.episode_return,
        norm_length=min(share, 1.0),
        norm_return=record.episode_return / record.length * share,
        early_termination=record.failed,
        diverged=record.diverged,
        measures=record.measures,
    )
