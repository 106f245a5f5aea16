"""How long a policy goes on from prompts, how far it comes, and beside whom."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.metrics import ScoredEpisode, summarize, summarize_by_snippet
from mocapact_cli.core.evaluation.observers import MotionObserver
from mocapact_cli.core.evaluation.versions import versions
from mocapact_cli.core.rollouts.completion import Cast, Paths, run_completions
from mocapact_cli.core.rollouts.episodes import PlannedEpisode
from mocapact_cli.core.rollouts.streams import STARTS, stream
from mocapact_cli.core.tasks.completion import CompletionTask
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, get_walker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.envs.batch import EpisodeEnd, TrackingBatch
    from mocapact_cli.core.evaluation.prompts import Prompt, Recording
    from mocapact_cli.core.policies.base import Policy
    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.rollouts.episodes import Listener, Tick

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]

LAST_ACTION, PROMPTER = "last-action", "prompt"
"""Baselines that need no policy of their own: the prompt's last action again and again; whoever gave the prompt."""
DEFAULT_EPISODES = 100


@dataclass(frozen=True)
class CompletionConfig:
    """How motions are completed."""

    n_eval_episodes: int = DEFAULT_EPISODES
    """Episodes in all."""
    samples: bool = False
    """Let all episodes begin alike, so that only what is drawn after the prompt differs."""
    prompt_length: int = 32
    """Control steps of the prompt."""
    max_steps: int = 500
    """Control steps beyond the clip's end."""
    always_init_at_clip_start: bool = False
    """Begin at the wanted part's first step instead of at a random one."""
    act_noise: float = 0.0
    """Standard deviation of the noise on actions after the prompt."""
    stochastic: bool = False
    """Let the policy draw what is random inside it: the dropout of a GPT."""
    termination_error_threshold: float = 0.3
    """Error at which touching the floor is a failure."""
    seed: int = 0
    """Of starts, noise and what the policy draws."""
    num_envs: int | None = None
    """Environments side by side; chosen by machine and work if not given."""
    threads: int | None = None
    """Threads of the physics; all cores if not given."""

    @property
    def draws(self) -> bool:
        """Whether anything after the prompt is random."""
        return self.act_noise > 0.0 or self.stochastic


@dataclass(frozen=True)
class Completion:
    """How long and how far one has gone on from prompts.

    Attributes:
        episodes: Every episode, in the order of the plan; scores are of the part inside the clip.
        distances: (n,) metres on the ground from the prompt's end to the episode's.
        snippets: Names of the tracked snippets.
        config: How it was done.
        deviation: Largest difference of a joint between a repeated recording and what was recorded, radians, at the
            prompt's end; None where nothing was repeated.
        poses: Planned episode -> (T, 63) poses of the walker and of the reference after each step, of those filmed.
        baselines: The same episodes with others, by name.
    """

    episodes: tuple[ScoredEpisode, ...]
    distances: FloatArray
    snippets: tuple[str, ...]
    config: CompletionConfig
    deviation: float | None = None
    poses: dict[int, tuple[FloatArray, FloatArray]] = field(default_factory=dict, repr=False)
    baselines: dict[str, Completion] = field(default_factory=dict)

    @property
    def ends(self) -> list[EpisodeEnd]:
        """How the episodes ended."""
        return [episode.end for episode in self.episodes]

    @property
    def failed(self) -> BoolArray:
        """(n,) whether each episode failed."""
        return np.array([end.early_termination for end in self.ends])

    @property
    def seconds(self) -> FloatArray:
        """(n,) how long each episode lasted after its prompt."""
        steps = np.array([end.length for end in self.ends]) - self.config.prompt_length
        return np.asarray(np.maximum(steps, 0) * CONTROL_TIMESTEP)

    @property
    def survival(self) -> list[tuple[float, float]]:
        """Seconds after the prompt and the share of the episodes that have not failed by then: a step at each failure.

        It ends where the shortest of the episodes would have ended if it had not failed.
        """
        horizon = self.config.max_steps * CONTROL_TIMESTEP
        seconds, failed = self.seconds.round(6), self.failed
        steps = {0.0, horizon, *seconds[failed & (seconds < horizon)].tolist()}
        return [(time, float(np.mean(~failed | (seconds > time)))) for time in sorted(steps)]

    def scores(self) -> dict[str, Any]:
        """Return the metrics over all episodes and of each snippet."""
        return summarize(self.episodes) | {
            "prompt_length": self.config.prompt_length,
            "survival": [list(step) for step in self.survival],
            "seconds_after_prompt": _spread(self.seconds),
            "distance_m": _spread(self.distances),
            "snippets": summarize_by_snippet(self.episodes, self.snippets),
        }

    def each(self) -> list[dict[str, Any]]:
        """Return what became of each episode."""
        return [
            {
                "snippet": self.snippets[end.snippet_index],
                "start_step": end.start_step,
                "seconds": float(seconds),
                "distance_m": float(distance),
                "failed": end.early_termination,
            }
            for end, seconds, distance in zip(self.ends, self.seconds, self.distances, strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the document that `mocapact complete --json` prints."""
        baselines = {name: result.scores() for name, result in self.baselines.items()}
        return (
            self.scores()
            | {"max_steps": self.config.max_steps, "completions": self.each()}
            | ({"baselines": baselines} if baselines else {})
            | ({"prompt_deviation_rad": self.deviation} if self.deviation is not None else {})
            | {"versions": versions(), "seed": self.config.seed}
        )


def default_episodes(prompt: Prompt, config: CompletionConfig) -> int:
    """Return how many episodes there are unless it is said: one where all would be alike."""
    fixed = prompt.recording is not None or config.always_init_at_clip_start
    return 1 if fixed and not config.draws else DEFAULT_EPISODES


def complete(
    policy: Policy,
    prompts: Sequence[Prompt],
    config: CompletionConfig | None = None,
    *,
    baselines: Mapping[str, Policy | None] | None = None,
    filmed: Sequence[int] = (),
    measure_motion: bool = True,
    progress: Progress | None = None,
    description: str = "Completing",
) -> Completion:
    """Let a policy go on from prompts.

    Episodes are drawn by the seed alone: they do not depend on the number of environments or threads.

    Args:
        policy: Sees the prompt and acts after it.
        prompts: What it goes on from, in turn; all given by one policy, or all recorded.
        config: How.
        baselines: Name -> another policy for the same episodes, or None for repeating the prompt's last action. What
            they see of a reference stands still from the prompt's end on, for the policy is not told more either.
        filmed: Planned episodes whose poses are kept.
        measure_motion: Also compare the motion inside the clip with the reference's.
        progress: Told of every episode.
        description: What the progress bar calls this.

    Raises:
        UsageError: A prompt is longer than what it is taken from, or there is nothing to do.
        InvalidInputError: A snippet lies outside its clip.
    """
    config = config or CompletionConfig()
    plan = plan_completions(prompts, config)
    show: dict[str, Any] = {"progress": progress, "measure_motion": measure_motion}
    cast = Cast(prompts[0].policy, _recorded_actions(prompts, plan), policy, deterministic=not config.stochastic)
    task = _task(prompts, cast, config)
    result = _completed(prompts, task, plan, cast, config, filmed=filmed, description=description, **show)
    for name, other in (baselines or {}).items():
        others = replace(cast, goes_on=other, deterministic=True)
        task = _task(prompts, others, config, holds_reference=True)
        description = f"Completing: {name}"
        result.baselines[name] = _completed(prompts, task, plan, others, config, description=description, **show)
    return result


def plan_completions(prompts: Sequence[Prompt], config: CompletionConfig) -> list[PlannedEpisode]:
    """Draw where episodes begin, as the seed says; prompts take turns.

    Raises:
        UsageError: A prompt is longer than what it is taken from, or there are no episodes.
    """
    if config.n_eval_episodes < 1 or not prompts:
        raise UsageError("At least one episode is needed.")
    rooms = [prompt.starts(config.prompt_length) for prompt in prompts]
    places = stream(config.seed, (STARTS,)).random(config.n_eval_episodes)
    if config.samples:
        places[:] = places[0]
    if config.always_init_at_clip_start:
        places[:] = 0.0
    plan = []
    for number, place in enumerate(places):
        turn = number % len(prompts)
        plan.append(PlannedEpisode(Start(turn, rooms[turn][int(place * len(rooms[turn]))]), (number,)))
    return plan


def _completed(
    prompts: Sequence[Prompt],
    task: CompletionTask,
    plan: Sequence[PlannedEpisode],
    cast: Cast,
    config: CompletionConfig,
    *,
    filmed: Sequence[int] = (),
    measure_motion: bool,
    progress: Progress | None,
    description: str,
) -> Completion:
    watching: dict[str, Any] = {}

    def listen(batch: TrackingBatch) -> list[Listener]:
        watching["paths"] = Paths(batch, config.prompt_length, len(plan), filmed)
        watching["motion"] = MotionObserver(batch, len(plan)) if measure_motion else None
        recordings = [prompts[episode.start.snippet_index].recording for episode in plan]
        watching["deviation"] = _Deviation(batch, recordings, config.prompt_length)
        return [listener for listener in watching.values() if listener is not None]

    ends = run_completions(
        task,
        plan,
        cast,
        act_noise=config.act_noise,
        seed=config.seed,
        listen=listen,
        num_envs=config.num_envs,
        threads=config.threads,
        progress=progress,
        description=description,
    )
    paths, motion = watching["paths"], watching["motion"]
    scores = motion.scores if motion is not None else [None] * len(ends)
    return Completion(
        tuple(ScoredEpisode(*pair) for pair in zip(ends, scores, strict=True)),
        paths.distances,
        tuple(str(prompt.snippet) for prompt in prompts),
        config,
        watching["deviation"].largest,
        {index: paths.poses(index) for index in filmed},
    )


def _task(
    prompts: Sequence[Prompt], cast: Cast, config: CompletionConfig, *, holds_reference: bool = False
) -> CompletionTask:
    settings = TrackingConfig(
        ref_steps=cast.ref_steps or (0,), termination_error_threshold=config.termination_error_threshold
    )
    pairs = [(prompt.clip, prompt.snippet) for prompt in prompts]
    return CompletionTask(
        pairs,
        settings,
        prompt_length=config.prompt_length,
        max_steps=config.max_steps,
        holds_reference=holds_reference,
    )


def _recorded_actions(prompts: Sequence[Prompt], plan: Sequence[PlannedEpisode]) -> list[NDArray[np.float32]] | None:
    recordings = [prompts[episode.start.snippet_index].recording for episode in plan]
    actions = [recording.actions for recording in recordings if recording is not None]
    return actions if len(actions) == len(plan) else None


class _Deviation:
    """How far repeated recordings have come from what was recorded, at the prompt's end."""

    def __init__(self, batch: TrackingBatch, recordings: Sequence[Recording | None], length: int) -> None:
        self._batch, self._recordings, self._length = batch, recordings, length
        self._order = get_walker().actuator_joint
        self.largest: float | None = None

    def on_tick(self, tick: Tick) -> None:
        at_end = np.flatnonzero((tick.episodes >= 0) & (tick.steps == self._length - 1))
        for env in at_end:
            recording = self._recordings[tick.episodes[env]]
            if recording is not None and recording.joints is not None:
                joints = self._batch.reached().qpos[env, 7:][self._order]
                difference = float(np.abs(joints - recording.joints[self._length]).max())
                self.largest = max(self.largest or 0.0, difference)

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """Nothing is left to take note of."""


def _spread(values: FloatArray) -> dict[str, float]:
    return {"mean": float(values.mean()), "std": float(values.std()), "median": float(np.median(values))}
