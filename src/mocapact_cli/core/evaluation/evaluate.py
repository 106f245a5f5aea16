"""Evaluating a policy on snippets: many episodes in one batch, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli import __version__
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.metrics import (
    POSE_OBSERVABLES,
    PoseErrors,
    ScoredEpisode,
    summarize,
    summarize_by_snippet,
)
from mocapact_cli.core.rollouts.actors import PolicyActor, few_torch_threads
from mocapact_cli.core.rollouts.episodes import Listener, PlannedEpisode, open_batch, run_episodes
from mocapact_cli.core.rollouts.noise import stream
from mocapact_cli.core.tasks.tracking import TrackingConfig, TrackingTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.envs.batch import EpisodeEnd
    from mocapact_cli.core.policies.base import Policy
    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.walker.model import Walker

_START_STREAM = 0xFFFFFFFF


@dataclass(frozen=True)
class EvalConfig:
    """How a policy is evaluated; the defaults are those of the published evaluation."""

    n_eval_episodes: int = 1000
    """Episodes in all."""
    always_init_at_clip_start: bool = False
    """Start at a snippet's first step instead of at a random one."""
    act_noise: float = 0.1
    """Standard deviation of the noise on the policy's deterministic action."""
    min_steps: int = 10
    """Random starts leave room for at least one step less than this."""
    termination_error_threshold: float = 0.3
    """Error at which an episode fails."""
    seed: int = 0
    """Of starts and noise."""
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
    """

    episodes: tuple[ScoredEpisode, ...]
    snippets: tuple[str, ...]
    seed: int

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

    def to_json(self) -> dict[str, Any]:
        """Return the document that `mocapact expert eval --json` prints."""
        return summarize(self.episodes) | {
            "snippets": summarize_by_snippet(self.episodes, self.snippets),
            "versions": versions(),
            "seed": self.seed,
        }


def evaluate(
    policy: Policy,
    snippets: Sequence[tuple[Clip, Snippet]],
    config: EvalConfig | None = None,
    *,
    walker: Walker | None = None,
    progress: Progress | None = None,
    listeners: Sequence[Listener] = (),
    description: str = "Evaluating",
) -> Evaluation:
    """Run a policy on snippets and score it.

    Episodes are drawn by the seed alone: they do not depend on the number of environments or threads.

    Args:
        policy: Acts deterministically; the noise is added to its actions.
        snippets: (clip, snippet) pairs.
        config: How it is evaluated.
        walker: The body; default: the CMU humanoid.
        progress: Told of every episode.
        listeners: Told of every step and end.
        description: What the progress bar calls this.
    """
    config = config or EvalConfig()
    plan = plan_evaluation(snippets, config, policy.ref_steps)
    measures_poses = min(policy.ref_steps) == 0
    observables = tuple(dict.fromkeys((*policy.observables, *(POSE_OBSERVABLES if measures_poses else ()))))
    task = config.task(policy.ref_steps)
    machine: dict[str, Any] = {"num_envs": config.num_envs, "threads": config.threads, "walker": walker}
    with (
        open_batch(snippets, plan, observables=observables, config=task, **machine) as batch,
        few_torch_threads(batch.threads),
    ):
        errors = PoseErrors(batch, len(plan)) if measures_poses else None
        ends = run_episodes(
            batch,
            plan,
            PolicyActor(policy, batch),
            act_noise=config.act_noise,
            seed=config.seed,
            listeners=[*listeners, *([errors] if errors else [])],
            progress=progress,
            description=description,
        )
    return Evaluation(_scored(ends, errors), tuple(str(snippet) for _, snippet in snippets), config.seed)


def plan_evaluation(
    snippets: Sequence[tuple[Clip, Snippet]], config: EvalConfig, ref_steps: tuple[int, ...]
) -> list[PlannedEpisode]:
    """Draw the episodes of an evaluation from all possible starts, as the seed says."""
    if config.n_eval_episodes < 1:
        raise UsageError("An evaluation needs at least one episode.")
    starts, probabilities = TrackingTask(snippets, config.task(ref_steps)).possible_starts()
    drawn = stream(config.seed, (_START_STREAM,)).choice(len(starts), config.n_eval_episodes, p=probabilities)
    return [PlannedEpisode(starts[choice], (number,)) for number, choice in enumerate(drawn)]


def versions() -> dict[str, str]:
    """Return the versions that numbers depend on."""
    import mujoco
    import torch

    return {"mocapact": __version__, "mujoco": mujoco.__version__, "torch": torch.__version__, "numpy": np.__version__}


def _scored(ends: Sequence[EpisodeEnd], errors: PoseErrors | None) -> tuple[ScoredEpisode, ...]:
    if errors is None:
        return tuple(ScoredEpisode(end) for end in ends)
    return tuple(ScoredEpisode(end, *pair) for end, pair in zip(ends, errors.means().tolist(), strict=True))
