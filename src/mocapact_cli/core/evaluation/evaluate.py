"""Evaluating a policy on snippets: many episodes in one batch, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.metrics import ScoredEpisode, summarize, summarize_by_snippet
from mocapact_cli.core.evaluation.observers import MotionObserver, RewardCurves, RewardsOverTime
from mocapact_cli.core.evaluation.versions import versions
from mocapact_cli.core.policies.threads import few_torch_threads
from mocapact_cli.core.rollouts.controllers import make_baseline
from mocapact_cli.core.rollouts.episodes import Actor, Listener, PlannedEpisode, open_batch, run_episodes
from mocapact_cli.core.rollouts.sampling import acting, drawable
from mocapact_cli.core.rollouts.streams import STARTS, stream
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig, TrackingTask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.envs.batch import EpisodeEnd, TrackingBatch
    from mocapact_cli.core.policies.base import Policy
    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.walker.model import Walker


@dataclass(frozen=True)
class EvalConfig:
    """How a policy is evaluated; the defaults are those of the published evaluation."""

    n_eval_episodes: int = 1000
    """Episodes in all."""
    always_init_at_clip_start: bool = False
    """Start at a snippet's first step instead of at a random one."""
    act_noise: float = 0.1
    """Standard deviation of the noise on the policy's action."""
    stochastic: bool = False
    """Draw the policy's embedding instead of taking its mean."""
    min_steps: int = 10
    """Random starts leave room for at least one step less than this."""
    termination_error_threshold: float = 0.3
    """Error at which an episode fails."""
    seed: int = 0
    """Of starts, noise and embeddings."""
    num_envs: int | None = None
    """Environments side by side; chosen by machine and work if not given."""
    threads: int | None = None
    """Threads of the physics; all cores if not given."""

    def task(self, ref_steps: tuple[int, ...]) -> TrackingConfig:
        """Return the settings of the task for a policy with these reference steps."""
        return TrackingConfig(
            ref_steps=ref_steps,
            min_steps=self.min_steps,
            termination_error_threshold=self.termination_error_threshold,
            always_init_at_clip_start=self.always_init_at_clip_start,
        )


@dataclass(frozen=True)
class Evaluation:
    """The outcome of an evaluation.

    Attributes:
        episodes: Every episode, in the order of the plan.
        snippets: Names of the evaluated snippets.
        seed: Of starts and noise.
        rewards: The reward's parts over clip time, if that was measured.
        baselines: Evaluations of other controllers in the same episodes, by name.
    """

    episodes: tuple[ScoredEpisode, ...]
    snippets: tuple[str, ...]
    seed: int
    rewards: RewardCurves | None = None
    baselines: dict[str, Evaluation] = field(default_factory=dict)

    @property
    def ends(self) -> list[EpisodeEnd]:
        """How the episodes ended."""
        return [episode.end for episode in self.episodes]

    @property
    def norm_return(self) -> float:
        """Mean normalized return."""
        return float(np.mean([end.norm_return for end in self.ends]))

    @property
    def norm_length(self) -> float:
        """Mean normalized length."""
        return float(np.mean([end.norm_length for end in self.ends]))

    def scores(self) -> dict[str, Any]:
        """Return the metrics over all episodes and of each snippet."""
        return summarize(self.episodes) | {"snippets": summarize_by_snippet(self.episodes, self.snippets)}

    def to_json(self) -> dict[str, Any]:
        """Return the document that `mocapact expert eval --json` prints."""
        baselines = {name: result.scores() for name, result in self.baselines.items()}
        others = {"baselines": baselines} if baselines else {}
        return self.scores() | others | {"versions": versions(), "seed": self.seed}


def evaluate(
    policy: Policy,
    snippets: Sequence[tuple[Clip, Snippet]],
    config: EvalConfig | None = None,
    *,
    measure_motion: bool = False,
    measure_rewards: bool = False,
    walker: Walker | None = None,
    progress: Progress | None = None,
    listeners: Sequence[Listener] = (),
    description: str = "Evaluating",
) -> Evaluation:
    """Run a policy on snippets and score it.

    Episodes are drawn by the seed alone: they do not depend on the number of environments or threads.

    Args:
        policy: Acts; the noise is added to its actions.
        snippets: (clip, snippet) pairs.
        config: How it is evaluated.
        measure_motion: Also compare the motion with the reference's; this takes a little time.
        measure_rewards: Also keep the reward's parts over clip time; for a single snippet.
        walker: The body; default: the CMU humanoid.
        progress: Told of every episode.
        listeners: Told of every step and end.
        description: What the progress bar calls this.

    Raises:
        UsageError: The policy is to draw its embedding but has none.
    """
    config = config or EvalConfig()
    if config.stochastic:
        drawable(policy)
    return _evaluate(
        lambda batch, plan: acting(policy, batch, plan, config.seed, stochastic=config.stochastic),
        snippets,
        config,
        policy.ref_steps,
        policy.observables,
        measure_motion=measure_motion,
        measure_rewards=measure_rewards,
        walker=walker,
        progress=progress,
        listeners=listeners,
        description=description,
    )


def evaluate_baseline(
    name: str,
    snippets: Sequence[tuple[Clip, Snippet]],
    config: EvalConfig,
    ref_steps: tuple[int, ...],
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Run the controller `name` of `controllers.BASELINES` in the very episodes of a policy with these reference steps.

    Starts, noise and their seeds are the policy's; the motion is measured.

    Raises:
        UsageError: There is no such controller.
    """
    return _evaluate(
        lambda batch, plan: make_baseline(name, batch, plan, config.seed),
        snippets,
        config,
        ref_steps,
        (),
        measure_motion=True,
        progress=progress,
        description=f"Evaluating {name}",
    )


def _evaluate(
    make_actor: Callable[[TrackingBatch, Sequence[PlannedEpisode]], Actor],
    snippets: Sequence[tuple[Clip, Snippet]],
    config: EvalConfig,
    ref_steps: tuple[int, ...],
    observables: Sequence[str],
    *,
    measure_motion: bool,
    measure_rewards: bool = False,
    walker: Walker | None = None,
    progress: Progress | None = None,
    listeners: Sequence[Listener] = (),
    description: str,
) -> Evaluation:
    if measure_rewards and len(snippets) != 1:
        raise UsageError("Rewards over clip time are measured for one snippet at a time.")
    plan = plan_evaluation(snippets, config, ref_steps)
    machine: dict[str, Any] = {"num_envs": config.num_envs, "threads": config.threads, "walker": walker}
    with (
        open_batch(snippets, plan, observables=observables, config=config.task(ref_steps), **machine) as batch,
        few_torch_threads(batch.threads),
    ):
        motion = MotionObserver(batch, len(plan)) if measure_motion else None
        rewards = RewardsOverTime(batch, plan) if measure_rewards else None
        ends = run_episodes(
            batch,
            plan,
            make_actor(batch, plan),
            act_noise=config.act_noise,
            seed=config.seed,
            listeners=[*listeners, *(listener for listener in (motion, rewards) if listener is not None)],
            progress=progress,
            description=description,
        )
    scores = motion.scores if motion else [None] * len(ends)
    return Evaluation(
        tuple(ScoredEpisode(*pair) for pair in zip(ends, scores, strict=True)),
        tuple(str(snippet) for _, snippet in snippets),
        config.seed,
        rewards.curves() if rewards else None,
    )


def plan_evaluation(
    snippets: Sequence[tuple[Clip, Snippet]], config: EvalConfig, ref_steps: tuple[int, ...]
) -> list[PlannedEpisode]:
    """Draw the episodes of an evaluation, as the seed says.

    Every snippet has as many as every other. Those that are left over, fewer than there are snippets, go to snippets
    that are drawn, one each. The starts of a snippet are equally likely.

    Raises:
        UsageError: No episode is asked for.
    """
    if config.n_eval_episodes < 1:
        raise UsageError("An evaluation needs at least one episode.")
    task, rng = TrackingTask(snippets, config.task(ref_steps)), stream(config.seed, (STARTS,))
    places = rng.random(config.n_eval_episodes)
    each, left = divmod(config.n_eval_episodes, len(snippets))
    counts = np.full(len(snippets), each)
    counts[rng.permutation(len(snippets))[:left]] += 1
    owners = np.repeat(np.arange(len(snippets)), counts).tolist()
    return [
        PlannedEpisode(Start(index, task.snippets[index].start_step + int(place * task.num_starts(index))), (number,))
        for number, (index, place) in enumerate(zip(owners, places, strict=True))
    ]
