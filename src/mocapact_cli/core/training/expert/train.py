"""Training one expert from start, or from its last checkpoint, to the end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.utils import get_device, set_random_seed

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.config import to_dict
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import FailureStarts
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info
from mocapact_cli.core.policies.threads import torch_threads
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.sim.observables import TIME_INDEX
from mocapact_cli.core.training.expert.config import ExpertConfig, completed
from mocapact_cli.core.training.expert.model import build_env, build_model, training_batch
from mocapact_cli.core.training.expert.monitor import ExpertMonitor, Run
from mocapact_cli.core.training.expert.pretrained import adopt_networks, read_source, take_over
from mocapact_cli.core.training.expert.progression import ExpertProgression
from mocapact_cli.core.training.expert.warm_start import demonstrate, imitate
from mocapact_cli.core.training.ppo.checkpoint import take_up
from mocapact_cli.core.training.ppo.loop import bar_of, decaying, learn
from mocapact_cli.core.training.ppo.result import PpoResult
from mocapact_cli.core.training.ppo.settings import CHANGEABLE
from mocapact_cli.core.training.run_folder import RunFolder
from mocapact_cli.core.training.tensorboard import tensorboard_logger
from mocapact_cli.core.training.tracking import Tracker


@dataclass(frozen=True)
class ExpertResult(PpoResult):
    """What training an expert left.

    The best model is the one that lasted longest from random starts, and of those that reached `stop_norm_length` the
    one of the highest return.

    Attributes:
        snippet: What it tracks.
        best_rsi: Mean normalized return of the best model from random steps.
        best_start: The same of the best one from the snippet's first step.
    """

    snippet: Snippet
    best_rsi: float
    best_start: float

    model_folder = RSI_MODEL


def expert_root(log_root: Path, snippet: Snippet, seed: int) -> Path:
    """The folder of an expert below `log_root`: `<snippet>/<seed>`."""
    return log_root / str(snippet) / str(seed)


def train_expert(
    clip: Clip,
    snippet: Snippet,
    config: ExpertConfig,
    root: Path,
    *,
    mocap: Sequence[Path] = (),
    chosen: Collection[str] = (),
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    tracker: Tracker | None = None,
) -> ExpertResult:
    """Train a policy that tracks a snippet.

    Args:
        clip: The whole clip.
        snippet: The part to track.
        config: The settings; a resumed run keeps those it began with, but for its limits, threads and device. Limits
            are of the whole run, what came before an interruption included.
        root: The expert's folder.
        mocap: Files that the clip came from, for the run's record.
        chosen: Names of settings that were asked for, which must not give way to those of a warm start.
        resume: Continue the run that lies in `root`.
        force: Replace it.
        progress: Told of all that happens.
        tracker: Follows the run.

    Raises:
        UsageError: If `root` holds a run and neither `resume` nor `force` is given, or if the expert to begin as
            does not fit.
        NotFoundError: If there is nothing to resume, or no expert to begin as.
        InterruptedRunError: After Ctrl-C; all is saved.
        RunError: If the learner diverged; the best model so far is kept.
    """
    folder = RunFolder(root, tracker)
    if resume:
        limits = {name: getattr(config, name) for name in CHANGEABLE}
        config = recorded_config(root, snippet, limits)
    else:
        config = _with_overlap_decided(with_warm_start(config, root, chosen))
    folder.prepare(resume=resume, force=force)
    if not resume:
        # First, so that whatever has a record can be resumed.
        sources = [str(path.absolute()) for path in mocap]
        write_clip_info(root, snippet, TIME_INDEX, ref_steps=[0], mocap=sources)
        record = {"kind": "expert", "snippet": str(snippet), "observables": list(TIME_INDEX)}
        folder.write_record(record | {"training": to_dict(config)}, config.seed, config.threads)
    run = Run(config, folder, clip, snippet, TIME_INDEX, progress or NullProgress())
    folder.tracker.begin(root)
    with torch_threads():
        return _train(run, resume=resume)


def recorded_config(root: Path, snippet: Snippet, changes: Mapping[str, Any]) -> ExpertConfig:
    """The settings that the run in `root` began with, with some of them changed.

    Raises:
        NotFoundError: No run lies there.
        InvalidInputError: Its record is damaged.
        UsageError: It tracks another snippet.
    """
    folder = RunFolder(root)
    record = folder.read_config()
    if record.get("snippet") != str(snippet):
        raise UsageError(
            f"{root} holds a run on {record.get('snippet')}, not on {snippet}.",
            hint="Resume that one, or choose another --log-root.",
        )
    return folder.read_settings(ExpertConfig, changes, complete=completed)


def with_warm_start(config: ExpertConfig, root: Path, chosen: Collection[str] = ()) -> ExpertConfig:
    """The settings with what follows from an expert to begin as: the sizes of its networks.

    Args:
        config: The settings.
        root: The new expert's folder.
        chosen: Names of settings that were asked for, which must not give way.

    Raises:
        UsageError: The expert does not fit.
        NotFoundError: There is none.
        InvalidInputError: It is damaged.
    """
    return adopt_networks(config, TIME_INDEX, root, chosen)


def _with_overlap_decided(config: ExpertConfig) -> ExpertConfig:
    """Decide once, so that a run which is resumed on another device follows the same curve."""
    if config.overlap is not None:
        return config
    return replace(config, overlap=get_device(config.device).type == "cuda")


def _train(run: Run, *, resume: bool) -> ExpertResult:
    config = run.config
    starts = FailureStarts(config.first_step_share, config.start_floor)
    set_random_seed(config.seed)
    with training_batch(run.clip, run.snippet, config, run.observables, starts) as batch:
        env = build_env(batch, config)
        progression = ExpertProgression(step_size=config.learning_rate)
        model = build_model(env, config, lambda left: decaying(progression.step_size, config.lr_decay, left))
        logger = tensorboard_logger(run.folder.root / "tensorboard")
        model.set_logger(logger)
        try:
            restored = resume and take_up(run.folder, model, env, progression)
            if progression.missing:
                starts.restore(progression.missing)
            return _learn(run, model, batch, progression, starts, fresh=not restored)
        finally:
            logger.close()


def _learn(
    run: Run, model: Any, batch: TrackingBatch, progression: ExpertProgression, starts: FailureStarts, *, fresh: bool
) -> ExpertResult:
    total, unit = bar_of(run.config)
    with run.progress.task(f"Training {run.snippet}", total=total, unit=unit) as task:
        monitor = ExpertMonitor(run, progression, starts, task)

        def prepare() -> None:
            # A copy of the controller that is not finished is not worth keeping: a resumed run begins with it again.
            if fresh:
                _warm_start(run, model, batch)
            # A reset by the learner itself would add to the statistics that were taken over.
            if not fresh or isinstance(run.config.warm_start, Path):
                monitor.begin_anew()

        learn(run, model, monitor, prepare)
    return _result(run, monitor, progression)


def _warm_start(run: Run, model: Any, batch: TrackingBatch) -> None:
    start = run.config.warm_start
    if isinstance(start, Path):
        source = read_source(start)
        take_over(model, model.get_vec_normalize_env(), source.policy, run.observables)
        run.progress.message(f"Goes on from {source.location.root}, which tracks {source.location.snippet}.")
    elif start == "pd":
        _imitate_controller(run, model, batch)


def _imitate_controller(run: Run, model: Any, batch: TrackingBatch) -> None:
    config = run.config
    threads = torch.get_num_threads()
    with torch_threads(1):
        shown = demonstrate(batch, noise=config.std, gamma=config.gamma, seed=config.seed)
    torch.set_num_threads(config.threads or threads)
    imitate(model, model.get_vec_normalize_env(), shown, run.progress)


def _result(run: Run, monitor: ExpertMonitor, progression: ExpertProgression) -> ExpertResult:
    return ExpertResult(
        root=run.folder.root,
        snippet=run.snippet,
        timesteps=progression.timesteps,
        seconds=monitor.seconds,
        stopped_because=monitor.stopped_because,
        best_rsi=progression.best_rsi,
        best_start=progression.best_start,
        evaluations=[row for row in run.folder.metrics() if "rsi_norm_return" in row],
    )
