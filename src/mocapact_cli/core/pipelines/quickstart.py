"""From a motion to a trained, evaluated and filmed expert and its first dataset, in one call."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mocapact_cli.core import atomic, paths
from mocapact_cli.core.clips.library import ClipLibrary, open_library
from mocapact_cli.core.clips.snippets import Snippet, cut
from mocapact_cli.core.errors import MissingDependencyError, UsageError
from mocapact_cli.core.evaluation.evaluate import EvalConfig
from mocapact_cli.core.evaluation.expert import Subject, evaluate_expert, film_expert, open_expert
from mocapact_cli.core.evaluation.inspection import inspect_path
from mocapact_cli.core.interop.run_files import CONFIG
from mocapact_cli.core.progress import Progress
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.rollouts.recorder import record_rollouts
from mocapact_cli.core.training.expert.config import resolve
from mocapact_cli.core.training.expert.train import expert_root, train_expert

DEMO = "demo_squat"
"""The built-in clip that is used when none is named."""
RSI_EPISODES = 200
"""Episodes of the final evaluation from random steps, with noise on the actions."""
RSI_NOISE = 0.1
"""Standard deviation of that noise."""


@dataclass(frozen=True)
class QuickstartConfig:
    """What the quickstart does."""

    clip: str = DEMO
    """A clip, a snippet, or a recording: an AMC file with its ASF beside it."""
    minutes: float = 5.0
    """Minutes of training."""
    seed: int = 0
    """Of everything random."""
    threads: int | None = None
    """Threads of physics and learner; None for all."""
    device: str = "cpu"
    """Where networks run."""


@dataclass
class QuickstartResult:
    """What the quickstart made.

    Attributes:
        folder: Where everything lies.
        snippet: What the expert tracks.
        stages: Name, seconds and more of each stage, in order.
        expert: The evaluation from random steps with noise, as `expert eval` gives it.
        from_start: The same from the snippet's start without noise.
        artifacts: Name -> path of what was made.
        notes: What could not be done, and what to do about it.
    """

    folder: Path
    snippet: Snippet
    stages: list[dict[str, Any]] = field(default_factory=list)
    expert: dict[str, Any] = field(default_factory=dict)
    from_start: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The document that `mocapact quickstart --json` prints."""
        return {
            "seconds": sum(stage["seconds"] for stage in self.stages),
            "stages": self.stages,
            "snippet": str(self.snippet),
            "expert": self.expert,
            "expert_from_start": self.from_start,
            "artifacts": self.artifacts,
            "notes": self.notes,
        }

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Time a stage; what is put into the yielded dictionary is kept with it."""
        began = time.monotonic()
        facts: dict[str, Any] = {}
        yield facts
        self.stages.append({"name": name, "seconds": round(time.monotonic() - began, 2), **facts})


def quickstart(
    config: QuickstartConfig,
    folder: Path | None = None,
    *,
    resume: bool = False,
    force: bool = False,
    progress: Progress,
) -> QuickstartResult:
    """Train an expert on a clip, evaluate it, film it, roll it out and look at the dataset.

    Args:
        config: What to do.
        folder: Where everything goes; default: a folder of the clip's name below `MOCAPACT_HOME/runs/quickstart`.
        resume: Continue an interrupted quickstart.
        force: Replace an earlier one.
        progress: Told of all that happens.

    Raises:
        UsageError: The folder holds an earlier quickstart and neither `resume` nor `force` is given.
        NotFoundError: There is no such clip or file.
        InvalidInputError: The recording is damaged.
    """
    folder = folder or paths.runs_dir("quickstart") / Path(config.clip).stem
    if folder.exists() and any(folder.iterdir()) and not (resume or force):
        hint = "Use --resume to continue it, --force to replace it, or another folder with --out."
        raise UsageError(f"{folder} already holds something.", hint=hint)
    atomic.delete_leftovers(folder)
    library, snippet, stages, mocap = _motion(config.clip, folder, progress, resume=resume)
    result = QuickstartResult(folder, snippet, stages)
    if mocap:
        result.artifacts["mocap"] = mocap[0]
    _train(result, library, config, mocap, progress, resume=resume, force=force)
    subject = open_expert(result.artifacts["expert"], mocap, device=config.device)
    _evaluate(result, subject, config, progress)
    _film(result, subject, progress)
    _roll_out(result, subject, library, config, progress, again=resume or force)
    return result


def _motion(
    name: str, folder: Path, progress: Progress, *, resume: bool
) -> tuple[ClipLibrary, Snippet, list[dict[str, Any]], list[Path]]:
    """Find the clip, or import the recording."""
    if not name.lower().endswith(".amc"):
        library = open_library()
        return library, library.resolve(name), [], []
    from mocapact_cli.core.clips.importing import import_recordings

    began, output = time.monotonic(), folder / "mocap.h5"
    if not (resume and output.exists()):
        import_recordings([Path(name)], output, force=True, progress=progress)
    library = open_library([output])
    clip_id = next(clip_id for clip_id in library.ids() if library.origin(clip_id) == str(output))
    snippet = cut(clip_id, library.num_steps(clip_id) - 1)[0]
    stage = {"name": "import", "seconds": round(time.monotonic() - began, 2), "clip": clip_id}
    return library, snippet, [stage], [output]


def _train(
    result: QuickstartResult,
    library: ClipLibrary,
    config: QuickstartConfig,
    mocap: list[Path],
    progress: Progress,
    *,
    resume: bool,
    force: bool,
) -> None:
    settings = resolve(
        "fast", None, max_minutes=config.minutes, seed=config.seed, threads=config.threads, device=config.device
    )
    root = expert_root(result.folder / "experts", result.snippet, config.seed)
    with result.stage("train") as facts:
        trained = train_expert(
            library.get(result.snippet.clip_id),
            result.snippet,
            settings,
            root,
            mocap=mocap,
            resume=resume and (root / CONFIG).exists(),
            force=force,
            progress=progress,
        )
        facts |= {"timesteps": trained.timesteps, "stopped_because": trained.stopped_because}
    result.artifacts["expert"] = trained.model


def _evaluate(result: QuickstartResult, subject: Subject, config: QuickstartConfig, progress: Progress) -> None:
    with result.stage("evaluate"):
        random = EvalConfig(n_eval_episodes=RSI_EPISODES, act_noise=RSI_NOISE, seed=config.seed, threads=config.threads)
        start = EvalConfig(n_eval_episodes=1, act_noise=0.0, always_init_at_clip_start=True, threads=config.threads)
        result.expert = evaluate_expert(subject, random, progress=progress).to_json()
        result.from_start = evaluate_expert(subject, start, progress=progress).to_json()


def _film(result: QuickstartResult, subject: Subject, progress: Progress) -> None:
    with result.stage("film") as facts:
        try:
            path = film_expert(subject, result.folder / "expert.mp4", EvalConfig(), progress=progress)
            result.artifacts["video"] = path
        except MissingDependencyError as error:
            facts["skipped"] = error.message
            result.notes.append(f"There is no film: {error.message} {error.hint}")


def _roll_out(
    result: QuickstartResult,
    subject: Subject,
    library: ClipLibrary,
    config: QuickstartConfig,
    progress: Progress,
    *,
    again: bool,
) -> None:
    output = result.folder / "dataset"
    settings = RolloutConfig(seed=config.seed, threads=config.threads, device=config.device, min_steps=10)
    with result.stage("rollout") as facts:
        summary = record_rollouts([subject.expert.location], library, output, settings, force=again, progress=progress)
        facts |= {"episodes": summary.episodes, "steps": summary.steps}
    with result.stage("inspect") as facts:
        facts |= {"kind": inspect_path(output)["kind"]}
    result.artifacts["dataset"] = output
