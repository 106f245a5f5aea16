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
from mocapact_cli.core.config import from_dict, to_dict
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import FailureStarts
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.expert_folder import write_clip_info
from mocapact_cli.core.media.curves import CURVE_FILE
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.sim.observables import TIME_INDEX
from mocapact_cli.core.training.expert.config import ExpertConfig
from mocapact_cli.core.training.expert.model import build_env, build_model, training_batch
from mocapact_cli.core.training.expert.monitor import ExpertMonitor, Run
from mocapact_cli.core.training.expert.pretrained import adopt_networks, read_source, take_over
from mocapact_cli.core.training.expert.progression import ExpertProgression
from mocapact_cli.core.training.expert.warm_start import demonstrate, imitate
from mocapact_cli.core.training.ppo.checkpoint import load_checkpoint
from mocapact_cli.core.training.ppo.loop import bar_of, decaying, learn
from mocapact_cli.core.training.ppo.settings import CHANGEABLE
from mocapact_cli.core.training.run_folder import RunFolder
from mocapact_cli.core.training.tensorboard import tensorboard_logger
from mocapact_cli.core.training.tracking import Tracker


@dataclass(frozen=True)
class ExpertResult:
    """What training left.

    Attributes:
        root: the expert's folder. snippet: what it tracks. timesteps: environment steps in all.
        seconds: wall-clock training time in all. stopped_because: why training ended.
        best_rsi, best_start: best mean normalized returns of the evaluations.
        evaluations: the evaluations' rows, as in ``metrics.jsonl``.
    """

    root: Path
    snippet: Snippet
    timesteps: int
    seconds: float
    stopped_because: str
    best_rsi: float
    best_start: float
    evaluations: list[dict[str, Any]]

    @property
    def model(self) -> Path:
        """The folder of the model that was best from random starts."""
        return self.root / "eval_rsi" / "model"

    @property
    def curve(self) -> Path | None:
        """The picture of the training; None where it could not be drawn."""
        path = self.root / CURVE_FILE
        return path if path.is_file() else None


def expert_root(log_root: Path, snippet: Snippet, seed: int) -> Path:
    """The folder of an expert below ``log_root``: ``<snippet>/<seed>``."""
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
        clip: the whole clip. snippet: the part to track.
        config: the settings; a resumed run keeps those it began with, but for its limits, threads and device. Limits
            are of the whole run, what came before an interruption included.
        root: the expert's folder.
        mocap: files that the clip came from, for the run's record.
        chosen: names of settings that were asked for, which must not give way to those of a warm start.
        resume: continue the run that lies in ``root``. force: replace it.
        progress: told of all that happens. tracker: follows the run.

    Raises:
        UsageError: if ``root`` holds a run and neither ``resume`` nor ``force`` is given, or if the expert to begin as
            does not fit.
        NotFoundError: if there is nothing to resume, or no expert to begin as.
        InterruptedRunError: after Ctrl-C; all is saved.
        RunError: if the learner diverged; the best model so far is kept.
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
    threads = torch.get_num_threads()
    folder.tracker.begin(root)
    try:
        return _train(run, resume=resume)
    finally:
        torch.set_num_threads(threads)


def recorded_config(root: Path, snippet: Snippet, changes: Mapping[str, Any]) -> ExpertConfig:
    """The settings that the run in ``root`` began with, with some of them changed.

    Raises:
        NotFoundError: no run lies there.
        InvalidInputError: its record is damaged.
        UsageError: it tracks another snippet.
    """
    record = RunFolder(root).read_config()
    if record.get("snippet") != str(snippet):
        raise UsageError(f"{root} holds a run on {record.get('snippet')}, not on {snippet}.")
    settings = record.get("training")
    if not isinstance(settings, dict):
        raise InvalidInputError(f"{root} has no record of its settings.", hint="Start again with --force.")
    return from_dict(ExpertConfig, {**settings, **changes})


def with_warm_start(config: ExpertConfig, root: Path, chosen: Collection[str] = ()) -> ExpertConfig:
    """The settings with what follows from an expert to begin as: the sizes of its networks.

    Args:
        config: the settings. root: the new expert's folder.
        chosen: names of settings that were asked for, which must not give way.

    Raises:
        UsageError: the expert does not fit.
        NotFoundError: there is none.
        InvalidInputError: it is damaged.
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
            restored = resume and _restore(run, model, env, progression, starts)
            return _learn(run, model, batch, progression, starts, fresh=not restored)
        finally:
            logger.close()


def _restore(run: Run, model: Any, env: Any, progression: ExpertProgression, starts: FailureStarts) -> bool:
    try:
        saved = load_checkpoint(run.folder.checkpoints, model, env, ExpertProgression)
    except NotFoundError:
        # A run that was killed before its first checkpoint has nothing to lose: it begins again.
        run.folder.keep_metrics_until(-1)
        return False
    vars(progression).update(vars(saved))
    if saved.missing:
        starts.restore(saved.missing)
    run.folder.keep_metrics_until(saved.timesteps)
    return True


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
    torch.set_num_threads(1)
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
