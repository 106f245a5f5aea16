"""Evaluating and filming an expert from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.evaluate import EvalConfig, Evaluation, evaluate, evaluate_baseline
from mocapact_cli.core.evaluation.report import EvaluationHistory
from mocapact_cli.core.formatting import counted
from mocapact_cli.core.interop.expert_folder import LoadedExpert, load_expert, recorded_mocap
from mocapact_cli.core.media.captions import GAP
from mocapact_cli.core.media.clip_film import film_episode
from mocapact_cli.core.media.figures import check_plot_path
from mocapact_cli.core.media.tracking_plot import EpisodeSpans, plot_tracking
from mocapact_cli.core.rollouts.controllers import check_baselines
from mocapact_cli.core.rollouts.trajectory import Trajectory, record_episode
from mocapact_cli.core.sim.rewards import CHANNEL_LIMITS
from mocapact_cli.core.tasks.tracking import TrackingConfig
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.progress import Progress


@dataclass(frozen=True)
class Subject:
    """An expert and the motion that it tracks.

    Attributes:
        expert: The policy and where it lies.
        clip: The whole clip.
    """

    expert: LoadedExpert
    clip: Clip

    @property
    def snippet(self) -> Snippet:
        """What the expert tracks."""
        return self.expert.location.snippet


def open_expert(root: Path, mocap: Sequence[Path] | None = None, *, device: str = "cpu") -> Subject:
    """Read an expert and find its clip.

    Args:
        root: The model's folder or one above it.
        mocap: Files with the clip; default: those of the run's record, then the usual places.
        device: Where the network runs.

    Raises:
        NotFoundError: There is no expert, or no such clip.
        InvalidInputError: A file is damaged.
        UsageError: There are several experts below `root`.
    """
    expert = load_expert(root, device=device)
    library = open_library(mocap or recorded_mocap([expert.location]))
    return Subject(expert, library.get(library.resolve(str(expert.location.snippet)).clip_id))


def evaluate_expert(
    subject: Subject,
    config: EvalConfig,
    *,
    save: Path | None = None,
    baselines: Sequence[str] = (),
    plot: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Run an expert's evaluation.

    Args:
        save: An npz file for every episode's numbers, with the published keys.
        baselines: Controllers to run in the same episodes, of `controllers.BASELINES`.
        plot: Picture of the reward's parts and of the survival over clip time; the ending says which kind.

    Raises:
        UsageError: There is no such baseline, or plots of that kind cannot be drawn.
    """
    check_baselines(baselines)
    if plot is not None:
        check_plot_path(plot)
    policy, pairs = subject.expert.policy, [(subject.clip, subject.snippet)]
    result = evaluate(policy, pairs, config, measure_motion=True, measure_rewards=plot is not None, progress=progress)
    for name in dict.fromkeys(baselines):
        result.baselines[name] = evaluate_baseline(name, pairs, config, policy.ref_steps, progress=progress)
    if save is not None:
        timesteps = int(subject.expert.hyperparameters.get("num_timesteps") or 0)
        EvaluationHistory.of(timesteps, result.ends).save(save)
    if plot is not None:
        plot_evaluation(result, subject.snippet, plot)
    return result


def plot_evaluation(result: Evaluation, snippet: Snippet, path: Path) -> None:
    """Draw the rewards over clip time and where episodes ended; the evaluation must have measured its rewards.

    Raises:
        UsageError: It has not.
    """
    if result.rewards is None:
        raise UsageError("This evaluation has not measured its rewards over time.")
    limits = CHANNEL_LIMITS["comic"]
    starts = np.array([end.start_step for end in result.ends])
    plot_tracking(
        path,
        result.rewards.times,
        {name: mean / limits[name] for name, mean in result.rewards.means.items()},
        {name: deviation / limits[name] for name, deviation in result.rewards.deviations.items()},
        EpisodeSpans(
            starts * CONTROL_TIMESTEP,
            (starts + [end.length for end in result.ends]) * CONTROL_TIMESTEP,
            np.array([end.early_termination for end in result.ends]),
        ),
        title=f"{snippet}: {counted(len(result.ends), 'episode')}",
    )


def film_expert(subject: Subject, path: Path, config: EvalConfig, *, progress: Progress) -> Path:
    """Film one episode from the snippet's start without noise, with the reference as a ghost beside the walker.

    Raises:
        MissingDependencyError: No OpenGL works here.
        UsageError: The file's ending is unknown.
    """
    policy = subject.expert.policy
    task = TrackingConfig(
        ref_steps=policy.ref_steps, min_steps=1, termination_error_threshold=config.termination_error_threshold
    )
    seen = record_episode(policy, subject.clip, subject.snippet, config=task)
    captions = _captions(subject.snippet, seen, subject.clip.dt)
    return film_episode(seen.qpos, seen.reference_qpos, path, captions=captions, progress=progress)


def _captions(snippet: Snippet, seen: Trajectory, dt: float) -> list[str]:
    said = [f"{step * dt:.2f} s{GAP}reward {reward:.2f}" for step, reward in enumerate(seen.rewards)]
    if seen.end.early_termination:
        said[-1] = f"ended early at {seen.end.length * dt:.2f} s"
    return [f"{snippet}{GAP}{words}" for words in said]
