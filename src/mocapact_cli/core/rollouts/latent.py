"""Episodes in which embeddings lead: encoded while a policy tracks, or given to its low-level policy alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.policies.row_blocks import pad_rows
from mocapact_cli.core.policies.threads import few_torch_threads
from mocapact_cli.core.rollouts.actors import PolicyActor
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, Tick, open_batch, run_episodes
from mocapact_cli.core.tasks.free import FreeTask
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig
from mocapact_cli.core.walker.model import NUM_JOINTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.envs.batch import EpisodeEnd
    from mocapact_cli.core.policies.embedding import EmbeddingPolicy
    from mocapact_cli.core.policies.low_level import LowLevelPolicy
    from mocapact_cli.core.progress import Progress

    Float32Array = NDArray[np.float32]
    FloatArray = NDArray[np.float64]
    Pairs = Sequence[tuple[Clip, Snippet]]


@dataclass(frozen=True)
class Encoding:
    """The embeddings of a policy that tracked a snippet from its first step.

    Attributes:
        snippet: What it tracked.
        embeddings: (T, E) the encoder's means, one a step.
        end: How the episode ended.
    """

    snippet: Snippet
    embeddings: Float32Array
    end: EpisodeEnd


@dataclass(frozen=True)
class LatentEpisode:
    """An episode for the low-level policy.

    Attributes:
        start: The pose that it begins in.
        embeddings: (T, E) what to do at each step.
    """

    start: Start
    embeddings: Float32Array


@dataclass(frozen=True)
class LatentMotion:
    """How a walker moved for T steps.

    Attributes:
        qpos: (T + 1, 63) its poses; of a diverged simulation those before.
        qvel: (T, 62) its velocities after each step.
        embeddings: (T, E) what it was told.
        end: How the episode ended; `early_termination` says that it fell.
    """

    qpos: FloatArray
    qvel: FloatArray
    embeddings: Float32Array
    end: EpisodeEnd


def encode_snippets(
    policy: EmbeddingPolicy,
    pairs: Pairs,
    *,
    termination_error_threshold: float = 0.3,
    num_envs: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Encoding]:
    """Let a policy track each snippet once, without noise, and keep its embeddings.

    Args:
        policy: Encodes and acts.
        pairs: (clip, snippet) pairs.
        termination_error_threshold: Error at which an episode ends early.
        num_envs: Environments side by side.
        threads: Threads of the physics.
        progress: Told of every episode.

    Raises:
        InvalidInputError: A snippet lies outside its clip or is too short for the policy.
    """
    plan = [PlannedEpisode(Start(index, snippet.start_step), (index,)) for index, (_, snippet) in enumerate(pairs)]
    config = TrackingConfig(
        ref_steps=policy.ref_steps, min_steps=1, termination_error_threshold=termination_error_threshold
    )
    opened = open_batch(pairs, plan, observables=policy.observables, config=config, num_envs=num_envs, threads=threads)
    with opened as batch, few_torch_threads(batch.threads):
        actor = PolicyActor(policy, batch)
        kept = _Embeddings(actor)
        ends = run_episodes(batch, plan, actor, listeners=[kept], progress=progress, description="Encoding")
    rows = [np.stack(kept.rows[index]) for index in range(len(plan))]
    return [Encoding(snippet, own, end) for (_, snippet), own, end in zip(pairs, rows, ends, strict=True)]


def move_freely(
    low_level: LowLevelPolicy,
    pairs: Pairs,
    episodes: Sequence[LatentEpisode],
    *,
    num_envs: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[LatentMotion]:
    """Let a low-level policy follow given embeddings, with no reference, until each walker falls or they are over.

    Args:
        low_level: Acts.
        pairs: (clip, snippet) pairs that the episodes' starts are of.
        episodes: All with embeddings for equally many steps.
        num_envs: Environments side by side.
        threads: Threads of the physics.
        progress: Told of every episode.

    Raises:
        InvalidInputError: A snippet lies outside its clip.
    """
    task = FreeTask(pairs, len(episodes[0].embeddings))
    plan = [PlannedEpisode(episode.start, (number,)) for number, episode in enumerate(episodes)]
    opened = open_batch(task, plan, observables=low_level.observables, num_envs=num_envs, threads=threads)
    with opened as batch, few_torch_threads(batch.threads):
        states = _States(batch)
        actor = LatentActor(low_level, [episode.embeddings for episode in episodes])
        ends = run_episodes(batch, plan, actor, listeners=[states], progress=progress, description="Moving")
    return [_motion(pairs, *row) for row in zip(episodes, states.of(len(plan)), ends, strict=True)]


class LatentActor:
    """A low-level policy that is told what to do by given embeddings.

    Args:
        low_level: Acts.
        paths: For each planned episode embeddings (T, E), one a step.
    """

    def __init__(self, low_level: LowLevelPolicy, paths: Sequence[Float32Array]) -> None:
        self._low_level, self._paths = low_level, paths
        self._steps = np.zeros(len(paths), dtype=np.intp)

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        """Return the mean actions (N, A) for the next step of each episode; zeros where there is none."""
        rows = np.flatnonzero(episodes >= 0)
        running = episodes[rows]
        told = np.stack([self._paths[index][self._steps[index]] for index in running])
        self._steps[running] += 1
        actions = np.zeros((len(observations), NUM_JOINTS), dtype=np.float32)
        actions[rows] = self._low_level.act(pad_rows(observations[rows]), pad_rows(told))[: len(rows)]
        return actions


class _Embeddings:
    """Keeps what an actor's policy has encoded at each step."""

    def __init__(self, actor: PolicyActor) -> None:
        self._actor = actor
        self.rows: defaultdict[int, list[Float32Array]] = defaultdict(list)

    def on_tick(self, tick: Tick) -> None:
        for env in np.flatnonzero(tick.episodes >= 0):
            self.rows[int(tick.episodes[env])].append(np.array(self._actor.state[env]))

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """The rows are complete."""


class _States:
    """Keeps where the walkers are after each step."""

    def __init__(self, batch: TrackingBatch) -> None:
        self._batch = batch
        self._rows: defaultdict[int, list[tuple[FloatArray, FloatArray]]] = defaultdict(list)

    def on_tick(self, tick: Tick) -> None:
        reached = self._batch.reached()
        for env in np.flatnonzero(tick.episodes >= 0):
            self._rows[int(tick.episodes[env])].append((reached.qpos[env], reached.qvel[env]))

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        if episode.diverged:
            self._rows[index].pop()

    def of(self, count: int) -> list[list[tuple[FloatArray, FloatArray]]]:
        return [self._rows[index] for index in range(count)]


def _motion(
    pairs: Pairs, episode: LatentEpisode, states: list[tuple[FloatArray, FloatArray]], end: EpisodeEnd
) -> LatentMotion:
    first = pairs[episode.start.snippet_index][0].qpos()[episode.start.start_step]
    qpos = np.stack([first, *(pose for pose, _ in states)])
    qvel = np.array([velocity for _, velocity in states]).reshape(-1, qpos.shape[1] - 1)
    return LatentMotion(qpos, qvel, episode.embeddings[: len(states)], end)
