"""Evaluating and filming policies for tasks."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.envs.starts import MAX_SEED
from mocapact_cli.core.errors import UsageError, check_known
from mocapact_cli.core.evaluation.metrics import spread
from mocapact_cli.core.evaluation.versions import versions
from mocapact_cli.core.interop.transfer_folder import LoadedTransfer, load_transfer
from mocapact_cli.core.media.captions import GAP
from mocapact_cli.core.media.clip_film import film_goal
from mocapact_cli.core.policies.packed import pack_linears
from mocapact_cli.core.policies.row_blocks import pad_rows
from mocapact_cli.core.policies.threads import few_torch_threads
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, open_batch, run_episodes
from mocapact_cli.core.rollouts.streams import RANDOM_ACTIONS, STARTS, EpisodeStreams, stream
from mocapact_cli.core.tasks.goal import GoalCursor, GoalTask, Mark
from mocapact_cli.core.tasks.registry import make_task, start_pose
from mocapact_cli.core.tasks.tracking import Start
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, FloatArray

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mocapact_cli.core.envs.batch import EpisodeEnd, TrackingBatch
    from mocapact_cli.core.policies.transfer import TransferPolicy
    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.rollouts.episodes import Listener, Tick

    Float32Array = NDArray[np.float32]

FILM_STEPS = 400
"""Steps of an episode that a film shows: twelve seconds."""


@dataclass(frozen=True)
class TransferEvalConfig:
    """How a policy for a task is evaluated; the defaults are those of the published evaluation."""

    n_eval_episodes: int = 100
    """Episodes."""
    act_noise: float = 0.0
    """Standard deviation of the noise on the joints' targets."""
    seed: int = 0
    """Of places, goals and noise."""
    num_envs: int | None = None
    """Environments side by side; chosen by machine and work if not given."""
    threads: int | None = None
    """Threads of the physics; all cores if not given."""


class Actions(Protocol):
    """Gives a controller's actions for a task: embeddings, or joint targets."""

    def __call__(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        """Return actions (N, A), before they are clipped, for observations (N, P) of episodes (N,), -1 for none."""


@dataclass(frozen=True)
class TransferEvaluation:
    """The outcome of an evaluation.

    Attributes:
        task: What was done.
        ends: How the episodes ended, in the order of the plan.
        seed: Of everything that is drawn.
        baselines: Evaluations of other controllers in the same episodes, by name.
    """

    task: GoalTask
    ends: tuple[EpisodeEnd, ...]
    seed: int
    baselines: dict[str, TransferEvaluation] = field(default_factory=dict)

    @property
    def mean_return(self) -> float:
        """Mean return."""
        return float(np.mean([end.episode_return for end in self.ends]))

    def scores(self) -> dict[str, Any]:
        """Return what holds of any task, and under `task` what this one measures."""
        return {
            "episodes": len(self.ends),
            "return": spread([end.episode_return for end in self.ends]),
            "length": spread([end.length for end in self.ends]),
            "early_termination_rate": float(np.mean([end.early_termination for end in self.ends])),
            "diverged": sum(end.diverged for end in self.ends),
            "task": self.task.summarize([end.measures for end in self.ends]),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the document that `mocapact transfer eval --json` prints."""
        others = {"baselines": {name: result.scores() for name, result in self.baselines.items()}}
        named = {"task_name": self.task.name, "start_pose": self.task.snippets[0].clip_id}
        return named | self.scores() | (others if self.baselines else {}) | {"versions": versions(), "seed": self.seed}


@dataclass(frozen=True)
class TransferSubject:
    """A policy and the task that it is for.

    Attributes:
        loaded: The policy and where it lies.
        task: The task with the policy's settings.
    """

    loaded: LoadedTransfer
    task: GoalTask


def open_transfer(
    root: Path,
    mocap: Sequence[Path] | None = None,
    *,
    task: str | None = None,
    max_steps: int | None = None,
    device: str = "cpu",
) -> TransferSubject:
    """Read a policy for a task and make the task.

    Args:
        root: The model's folder or one above it.
        mocap: Files with the clip that gives the start pose; default: those of the run's record, then the usual places.
        task: Its name; default: what the files say.
        max_steps: Control steps of an episode; default: as in the run.
        device: Where the networks run.

    Raises:
        NotFoundError: There is no policy.
        InvalidInputError: A file is damaged, or the low-level policy is missing.
        UsageError: There are several policies, or no such task.
    """
    loaded = load_transfer(root, task=task, device=device)
    settings = dict(loaded.settings) | ({"max_steps": max_steps} if max_steps else {})
    pose = start_pose(open_library(list(mocap or loaded.mocap)))
    return TransferSubject(loaded, make_task(loaded.task, pose, settings))


def evaluate_transfer(
    subject: TransferSubject,
    config: TransferEvalConfig,
    *,
    baselines: Sequence[str] = (),
    progress: Progress | None = None,
) -> TransferEvaluation:
    """Run a policy's evaluation, and baselines that act in its place, through the same low-level policy.

    Args:
        baselines: Of `BASELINES`.

    Raises:
        UsageError: There is no such baseline.
    """
    check_baselines(baselines)
    policy = subject.loaded.policy
    result = evaluate_task(policy, subject.task, config, progress=progress)
    for name in dict.fromkeys(baselines):
        actions = _MAKERS[name](policy, config.seed)
        result.baselines[name] = evaluate_task(
            policy, subject.task, config, actions=actions, progress=progress, description=f"Evaluating {name}"
        )
    return result


def evaluate_task(
    policy: TransferPolicy,
    task: GoalTask,
    config: TransferEvalConfig,
    *,
    actions: Actions | None = None,
    listeners: Sequence[Callable[[TrackingBatch], Listener]] = (),
    progress: Progress | None = None,
    description: str = "Evaluating",
) -> TransferEvaluation:
    """Run a task's episodes to their ends.

    Episodes depend on the seed alone, not on the number of environments or threads.

    Args:
        policy: Its controller acts, without noise of its own.
        task: What is to be done.
        config: How it is evaluated.
        actions: Acts in the controller's place.
        listeners: Make what is told of every step and end.
        progress: Told of every episode.
        description: What the progress bar calls this.

    Raises:
        UsageError: No episode is asked for.
    """
    if config.n_eval_episodes < 1:
        raise UsageError("An evaluation needs at least one episode.")
    plan = plan_episodes(config.n_eval_episodes, config.seed)
    opened = open_batch(task, plan, observables=policy.observables, num_envs=config.num_envs, threads=config.threads)
    with opened as batch, few_torch_threads(batch.threads):
        ends = run_episodes(
            batch,
            plan,
            DecodedActor(policy, actions),
            act_noise=config.act_noise,
            seed=config.seed,
            listeners=[make(batch) for make in listeners],
            progress=progress,
            description=description,
        )
    return TransferEvaluation(task, tuple(ends), config.seed)


def plan_episodes(count: int, seed: int) -> list[PlannedEpisode]:
    """Draw the episodes of an evaluation, each with a seed of its own."""
    seeds = stream(seed, (STARTS,)).integers(MAX_SEED, size=count).tolist()
    return [PlannedEpisode(Start(0, 0, own), (number,)) for number, own in enumerate(seeds)]


class DecodedActor:
    """A policy, or another controller in its place, whose actions go through the policy's decoder.

    Args:
        policy: The policy.
        actions: Acts in its controller's place.
    """

    def __init__(self, policy: TransferPolicy, actions: Actions | None = None) -> None:
        self._policy, self._actions = _packed(policy), actions

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        """Return the joint targets (N, 56) that the decoder makes of the controller's actions."""
        rows = pad_rows(observations)
        if self._actions is None:
            acted = self._policy.high_level(rows)
        else:
            acted = pad_rows(self._actions(observations, episodes))
        return self._policy.decoder.decode(rows, acted)[: len(observations)]


def _packed(policy: TransferPolicy) -> TransferPolicy:
    """A copy that only acts, faster."""
    copied = copy.deepcopy(policy)
    pack_linears(copied.controller.network)
    if copied.low_level is not None:
        pack_linears(copied.low_level.policy)
    return copied


def _zero(policy: TransferPolicy, seed: int) -> Actions:  # noqa: ARG001
    size = policy.decoder.size
    return lambda observations, episodes: np.zeros((len(observations), size), dtype=np.float32)  # noqa: ARG005


class _Random:
    """Draws every action uniformly from the action space, each episode from a stream of its own."""

    def __init__(self, policy: TransferPolicy, seed: int) -> None:
        self._size, self._bound = policy.decoder.size, policy.decoder.bound
        self._streams = EpisodeStreams(seed, lambda index: (index,), RANDOM_ACTIONS)

    def __call__(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        self._streams.follow(episodes)
        actions = np.zeros((len(observations), self._size), dtype=np.float32)
        for env in np.flatnonzero(episodes >= 0):
            actions[env] = self._streams[int(episodes[env])].uniform(-self._bound, self._bound, self._size)
        return actions


_MAKERS: dict[str, Callable[[TransferPolicy, int], Actions]] = {"zero": _zero, "random": _Random}
BASELINES = tuple(_MAKERS)
"""Controllers that have learned nothing; they act through the policy's own low-level policy."""


def check_baselines(names: Sequence[str]) -> None:
    """Raise a `UsageError` unless all `names` are known."""
    for name in names:
        check_known(name, BASELINES, "baseline")


def film_transfer(subject: TransferSubject, path: Path, config: TransferEvalConfig, *, progress: Progress) -> Path:
    """Film the first twelve seconds of an evaluation's first episode, with what the walker is told to do.

    Raises:
        MissingDependencyError: No OpenGL works here.
        UsageError: The file's ending is unknown.
    """
    seen: list[_Sight] = []

    def watch(batch: TrackingBatch) -> Listener:
        seen.append(_Sight(batch))
        return seen[0]

    single = TransferEvalConfig(1, config.act_noise, config.seed, num_envs=1, threads=1)
    evaluate_task(subject.loaded.policy, subject.task, single, listeners=[watch])
    sight = seen[0]
    said = [f"return {total:.1f}" for total in np.cumsum(sight.rewards)]
    if sight.fell:
        said[-1] += f"{GAP}fell"
    captions = [
        f"{subject.task.name}{GAP}{step * CONTROL_TIMESTEP:.2f} s{GAP}{words}" for step, words in enumerate(said)
    ]
    return film_goal(np.array(sight.poses), sight.marks, path, captions=captions, progress=progress)


class _Sight:
    """What a film of one environment's first episode shows."""

    def __init__(self, batch: TrackingBatch) -> None:
        self._batch = batch
        self.poses: list[FloatArray] = []
        self.marks: list[list[Mark]] = []
        self.rewards: list[float] = []
        self.ended = self.fell = False

    def on_tick(self, tick: Tick) -> None:
        if self.ended or len(self.poses) >= FILM_STEPS:
            return
        pose = self._batch.reached().qpos[0]
        (cursor,) = self._batch.cursors()
        if isinstance(cursor, GoalCursor) and np.isfinite(pose).all():
            self.poses.append(pose)
            self.marks.append(cursor.marks(0, pose[:3]))
            self.rewards.append(float(tick.result.rewards[0]))

    def on_end(self, index: int, episode: EpisodeEnd) -> None:  # noqa: ARG002
        if not self.ended:
            self.fell = episode.early_termination and len(self.poses) < FILM_STEPS
        self.ended = True
