"""Training one policy for a task from start, or from its last checkpoint, to the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stable_baselines3.common.utils import get_device, set_random_seed

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.config import to_dict
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.interop.policy_places import LOW_LEVEL_FILE, TASK_MODEL
from mocapact_cli.core.interop.transfer_folder import copy_low_level, open_low_level
from mocapact_cli.core.policies.low_level import LowLevelPolicy
from mocapact_cli.core.policies.threads import torch_threads
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.tasks.registry import POSE, make_task, start_pose, task_class
from mocapact_cli.core.training.ppo.checkpoint import take_up
from mocapact_cli.core.training.ppo.loop import bar_of, decaying, learn
from mocapact_cli.core.training.ppo.result import PpoResult
from mocapact_cli.core.training.ppo.settings import CHANGEABLE
from mocapact_cli.core.training.run_folder import RunFolder
from mocapact_cli.core.training.tensorboard import tensorboard_logger
from mocapact_cli.core.training.tracking import Tracker
from mocapact_cli.core.training.transfer.config import TransferConfig
from mocapact_cli.core.training.transfer.model import build_env, build_model, decoder_for, training_batch
from mocapact_cli.core.training.transfer.monitor import TransferMonitor, TransferProgression, TransferRun


@dataclass(frozen=True)
class TransferResult(PpoResult):
    """What training for a task left.

    Attributes:
        task: What was to be done.
        best_return: Best mean return of the evaluations.
    """

    task: str
    best_return: float

    model_folder = TASK_MODEL


def transfer_root(log_root: Path, seed: int) -> Path:
    """The folder of a run below `log_root`: its seed, as the original has it."""
    return log_root / str(seed)


def train_transfer(
    config: TransferConfig,
    root: Path,
    *,
    mocap: Sequence[Path] = (),
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    tracker: Tracker | None = None,
) -> TransferResult:
    """Train a policy for a task.

    Args:
        config: The settings; a resumed run keeps those it began with, but for its limits, threads and device. Limits
            are of the whole run, what came before an interruption included.
        root: The run's folder.
        mocap: Files of motion, for the clip that gives the start pose.
        resume: Continue the run that lies in `root`.
        force: Replace it.
        progress: Told of all that happens.
        tracker: Follows the run.

    Raises:
        UsageError: If `root` holds a run and neither `resume` nor `force` is given, if there is no such task or
            setting, or the low-level policy has no decoder.
        NotFoundError: If there is nothing to resume, or no low-level policy.
        InvalidInputError: The low-level policy is damaged.
        InterruptedRunError: After Ctrl-C; all is saved.
        RunError: If the learner diverged; the best model so far is kept.
    """
    folder, progress = RunFolder(root, tracker), progress or NullProgress()
    if resume:
        limits = {name: getattr(config, name) for name in CHANGEABLE}
        config = recorded_config(root, limits)
        mocap = recorded_mocap(root)
        source: Path | None = root / TASK_MODEL / LOW_LEVEL_FILE if config.low_level_policy else None
    else:
        config = _decided(config)
        source = config.low_level_policy
    task = make_task(config.task, start_pose(open_library(list(mocap))), config.task_settings)
    low_level = _opened(source, config)
    if source is not None and not resume and source.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"The low-level policy {source} lies in the run's own folder.", hint="Choose another folder.")
    folder.prepare(resume=resume, force=force)
    mocap = [path.absolute() for path in mocap]
    if not resume:
        # First, so that whatever has a record can be resumed.
        if low_level is not None and source is not None:
            copy_low_level(source, low_level, root / TASK_MODEL)
        _begin(folder, config, mocap)
    if task.snippets[0].clip_id != POSE:
        progress.message(f"{POSE} is not at hand: episodes begin in the first pose of {task.snippets[0].clip_id}.")
    run = TransferRun(config, folder, task, low_level, tuple(mocap), progress)
    folder.tracker.begin(root)
    with torch_threads():
        return _train(run, resume=resume)


def recorded_config(root: Path, changes: Mapping[str, Any]) -> TransferConfig:
    """The settings that the run in `root` began with, with some of them changed.

    Raises:
        NotFoundError: No run lies there.
        InvalidInputError: Its record is damaged.
        UsageError: It is a run of another kind.
    """
    folder = RunFolder(root)
    record = folder.read_config()
    if record.get("kind") != "transfer":
        raise UsageError(f"{root} does not hold a run of `mocapact transfer train`.")
    return folder.read_settings(TransferConfig, changes)


def check_same_task(root: Path, recorded: TransferConfig, task: str | None, low_level_policy: Path | None) -> None:
    """Compare what a run in `root` learns with what is asked for on resuming it; None asks for nothing.

    Raises:
        UsageError: They differ.
    """
    if task is not None and task_class(task).name != recorded.task:
        raise UsageError(
            f"The run in {root} learns {recorded.task}, not {task_class(task).name}.",
            hint="Leave out --task to go on with it, or train in another --log-root.",
        )
    if low_level_policy is not None and low_level_policy.absolute() != recorded.low_level_policy:
        through = recorded.low_level_policy
        raise UsageError(
            f"The run in {root} {f'acts through {through}' if through else 'moves the joints directly'}.",
            hint="Leave out --low-level-policy to go on with it, or train in another --log-root.",
        )


def recorded_mocap(root: Path) -> tuple[Path, ...]:
    """The files of motion that the run in `root` began with, as far as they still exist."""
    named = RunFolder(root).read_config().get("mocap")
    return tuple(path for path in map(Path, named if isinstance(named, list) else ()) if path.is_file())


def _decided(config: TransferConfig) -> TransferConfig:
    """Name the task as it is registered, and decide once what a resumed run must not decide anew."""
    config = replace(config, task=task_class(config.task).name)
    if config.low_level_policy is not None:
        config = replace(config, low_level_policy=config.low_level_policy.absolute())
    if config.overlap is None:
        config = replace(config, overlap=get_device(config.device).type == "cuda")
    return config


def _opened(source: Path | None, config: TransferConfig) -> LowLevelPolicy | None:
    if source is None:
        return None
    return open_low_level(source, max_embed=config.max_embed, device=str(get_device(config.device)))


def _begin(folder: RunFolder, config: TransferConfig, mocap: Sequence[Path]) -> None:
    record = {"kind": "transfer", "task": config.task, "mocap": [str(path) for path in mocap]}
    folder.write_record(record | {"training": to_dict(config)}, config.seed, config.threads)


def _train(run: TransferRun, *, resume: bool) -> TransferResult:
    config, decoder = run.config, decoder_for(run.task, run.low_level)
    set_random_seed(config.seed)
    with training_batch(run.task, config, decoder) as batch:
        env = build_env(batch, config, decoder)
        progression = TransferProgression(step_size=config.learning_rate)
        model = build_model(env, config, lambda left: decaying(progression.step_size, config.lr_decay, left))
        logger = tensorboard_logger(run.folder.root / "tensorboard")
        model.set_logger(logger)
        try:
            restored = resume and take_up(run.folder, model, env, progression)
            return _learn(run, model, progression, restored=restored)
        finally:
            logger.close()
            env.close()


def _learn(run: TransferRun, model: Any, progression: TransferProgression, *, restored: bool) -> TransferResult:
    total, unit = bar_of(run.config)
    with run.progress.task(f"Training {run.task.name}", total=total, unit=unit) as task:
        monitor = TransferMonitor(run, progression, task)
        learn(run, model, monitor, monitor.begin_anew if restored else lambda: None)
    return TransferResult(
        root=run.folder.root,
        task=run.task.name,
        timesteps=progression.timesteps,
        seconds=monitor.seconds,
        stopped_because=monitor.stopped_because,
        best_return=progression.best if progression.best is not None else float("nan"),
        evaluations=[row for row in run.folder.metrics() if "eval_return" in row],
    )
