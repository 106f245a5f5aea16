"""Evaluating and filming an expert from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.evaluation.evaluate import EvalConfig, Evaluation, evaluate
from mocapact_cli.core.evaluation.report import EvaluationHistory
from mocapact_cli.core.interop.expert_folder import LoadedExpert, load_expert, recorded_mocap
from mocapact_cli.core.media.clip_film import film_episode
from mocapact_cli.core.rollouts.trajectory import Trajectory, record_episode
from mocapact_cli.core.tasks.tracking import TrackingConfig

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
        expert: the policy and where it lies.
        clip: the whole clip.
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
        root: the model's folder or one above it.
        mocap: files with the clip; default: those of the run's record, then the usual places.
        device: where the network runs.

    Raises:
        NotFoundError: there is no expert, or no such clip.
        InvalidInputError: a file is damaged.
        UsageError: there are several experts below ``root``.
    """
    expert = load_expert(root, device=device)
    library = open_library(mocap or recorded_mocap([expert.location]))
    return Subject(expert, library.get(library.resolve(str(expert.location.snippet)).clip_id))


def evaluate_expert(
    subject: Subject, config: EvalConfig, *, save: Path | None = None, progress: Progress | None = None
) -> Evaluation:
    """Run an expert's evaluation.

    Args:
        save: npz file for every episode's numbers, with the published keys.
    """
    policy = subject.expert.policy
    result = evaluate(policy, [(subject.clip, subject.snippet)], config, progress=progress)
    if save is not None:
        timesteps = int(subject.expert.hyperparameters.get("num_timesteps") or 0)
        EvaluationHistory.of(timesteps, result.ends).save(save)
    return result


def film_expert(subject: Subject, path: Path, config: EvalConfig, *, progress: Progress) -> Path:
    """Film one episode from the snippet's start without noise, with the reference as a ghost beside the walker.

    Raises:
        MissingDependencyError: no OpenGL works here.
        UsageError: the file's ending is unknown.
    """
    policy = subject.expert.policy
    task = TrackingConfig(
        ref_steps=policy.ref_steps, min_steps=1, termination_error_threshold=config.termination_error_threshold
    )
    seen = record_episode(policy, subject.clip, subject.snippet, config=task)
    captions = _captions(subject.snippet, seen, subject.clip.dt)
    return film_episode(seen.qpos, seen.reference_qpos, path, captions=captions, progress=progress)


def _captions(snippet: Snippet, seen: Trajectory, dt: float) -> list[str]:
    return [f"{snippet}   {step * dt:.2f} s   reward {reward:.2f}" for step, reward in enumerate(seen.rewards)]
