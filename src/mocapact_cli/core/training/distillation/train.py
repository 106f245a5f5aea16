"""Distilling one policy from a dataset: set-up, the training itself, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocapact_cli.core.config import to_dict
from mocapact_cli.core.datasets.expert_dataset import ExpertDataset
from mocapact_cli.core.datasets.loader import BatchLoader
from mocapact_cli.core.errors import InterruptedRunError, RunError, UsageError
from mocapact_cli.core.policies.distilled import PolicyConfig
from mocapact_cli.core.policies.threads import torch_threads
from mocapact_cli.core.policies.zoo import build_policy, describe, described_config
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.training.distillation.completions import CompletionEvaluation, plan_completions
from mocapact_cli.core.training.distillation.config import DistillConfig
from mocapact_cli.core.training.distillation.data import Division, open_part
from mocapact_cli.core.training.distillation.evaluations import Evaluation, Subjects, plan_evaluations
from mocapact_cli.core.training.distillation.interrupts import Interrupts
from mocapact_cli.core.training.distillation.module import DistillModule, SharedBatches, batch_size
from mocapact_cli.core.training.distillation.monitor import (
    BEST,
    LAST,
    VAL_LOSS,
    DistillMonitor,
    Run,
    Standing,
    StepCounter,
)
from mocapact_cli.core.training.distillation.processes import placed, rank, world_size
from mocapact_cli.core.training.distillation.resuming import (
    Saved,
    check_same_data,
    load_saved,
    recorded,
    settings_to_resume,
)
from mocapact_cli.core.training.distillation.trainer import end_launched, make_trainer, quiet_lightning
from mocapact_cli.core.training.run_folder import RunFolder
from mocapact_cli.core.training.tracking import Tracker


@dataclass(frozen=True)
class DistillResult:
    """A finished training.

    Attributes:
        root: The run's folder.
        steps: Gradient steps.
        seconds: Wall-clock training time.
        stopped_because: Why it ended.
        evaluations: Rows of the metrics with evaluations in them.
        samples: In the dataset.
    """

    root: Path
    steps: int
    seconds: float
    stopped_because: str
    evaluations: list[dict[str, Any]]
    samples: int

    @property
    def best(self) -> Path:
        """The best model by its evaluations, or the last where there were none."""
        return self.root / BEST if (self.root / BEST).is_file() else self.root / LAST


def distill(
    data: Division,
    config: DistillConfig,
    network: PolicyConfig,
    root: Path,
    *,
    subjects: Subjects | None = None,
    mocap: Sequence[Path] = (),
    metrics: Path | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    tracker: Tracker | None = None,
) -> DistillResult | None:
    """Train one policy on the rollouts of many experts.

    Args:
        data: What to learn from and what to validate with.
        config: Of the training; a resumed run keeps what it began with, but for limits, evaluations and the machine.
        network: Which policy.
        root: The run's folder.
        subjects: What to evaluate on.
        mocap: Files that the clips came from, for the run's record.
        metrics: `dataset_metrics.npz`; default: beside the files.
        resume: Continue the run in `root`.
        force: Replace it.
        progress: Told of all that happens.
        tracker: Follows the run.

    Returns:
        The result; None in the other ones of several processes, which write nothing.

    Raises:
        UsageError: `root` holds a run, it is to go on as something else, or a setting is impossible.
        NotFoundError: A file or an observable is missing, or there is nothing to resume.
        InvalidInputError: A file or the checkpoint is damaged, or the dataset has other reference steps.
        InterruptedRunError: After Ctrl-C; all is saved.
        RunError: The disk is full, or the loss is no longer a number.
    """
    progress, folder = progress or NullProgress(), RunFolder(root, tracker)
    learner = _set_up(data, config, network, folder if resume else None, metrics=metrics, progress=progress)
    config, module, dataset = learner.module.config, learner.module, learner.dataset
    if rank(config):
        _follow(module, dataset)
        return None
    held = None if data.val is None else open_part(data.val, module.policy, config, metrics, progress, upsampling=False)
    evaluations: list[Evaluation | CompletionEvaluation] = [
        *plan_evaluations(subjects or {}, config, module.policy.ref_steps),
        *plan_completions(subjects or {}, data, config, module.policy),
    ]
    evaluations.sort(key=lambda evaluation: config.eval_modes.index(evaluation.mode))
    folder.prepare(resume=resume, force=force)
    standing = learner.saved.standing if learner.saved else Standing()
    if resume:
        folder.keep_metrics_until(standing.step, by="step")
    else:
        folder.write_record(_record(learner, data, subjects or {}, mocap), config.seed, config.threads)
    folder.tracker.begin(root)
    with Interrupts() as interrupts:
        validation = (
            None if held is None else BatchLoader(held, min(config.batch_size, len(held)), device=config.device)
        )
        samples = batch_size(config, len(dataset), world_size(config))
        run = Run(config, folder, standing, evaluations, validation, samples, interrupts, progress)
        stopped_because = _lead(learner, run)
    rows = [row for row in folder.metrics() if is_evaluation(row)]
    return DistillResult(root, standing.step, standing.seconds, stopped_because, rows, len(dataset))


@dataclass(frozen=True)
class _Learner:
    """What learns, what from, and from which checkpoint on."""

    module: DistillModule
    dataset: ExpertDataset
    saved: Saved | None


def _set_up(
    data: Division,
    config: DistillConfig,
    network: PolicyConfig,
    resumed: RunFolder | None,
    *,
    metrics: Path | None,
    progress: Progress,
) -> _Learner:
    record = recorded(resumed.root) if resumed else {}
    config = placed(settings_to_resume(record, config, resumed.root) if resumed else config)
    # Several processes take theirs to their own devices.
    device = config.device if world_size(config) == 1 else "cpu"
    saved = load_saved(resumed.root, record, device) if resumed else None
    if resumed and not saved:
        # A run that was killed before its first checkpoint has nothing to lose: it begins again as what it was.
        network = described_config(record["policy"], str(resumed.root))
    policy = saved.policy if saved else build_policy(network, seed=config.seed, device=device)
    dataset = open_part(data.train, policy, config, metrics, progress, upsampling=config.clip_len_upsampling)
    if len(dataset) < world_size(config):
        raise UsageError(f"{len(dataset)} samples are too few for {world_size(config)} processes.")
    if resumed:
        check_same_data(record, data, len(dataset))
    if not saved:
        columns = dataset.columns[""]
        policy.set_statistics(dataset.proprio_mean[columns], dataset.proprio_var[columns])
    module = DistillModule(policy, config, saved.standing.step if saved else 0)
    if saved:
        module.optimizer.load_state_dict(saved.optimizer)
    return _Learner(module, dataset, saved)


def is_evaluation(row: Mapping[str, Any]) -> bool:
    """Whether a row of the metrics is of an evaluation."""
    return VAL_LOSS in row or any(name.endswith(("_norm_return", "_completion_seconds")) for name in row)


def _record(learner: _Learner, data: Division, subjects: Subjects, mocap: Sequence[Path]) -> dict[str, Any]:
    return {
        "kind": "distillation",
        "training": to_dict(learner.module.config),
        "policy": describe(learner.module.policy),
        **data.record(),
        "samples": len(learner.dataset),
        "mocap": [str(file.absolute()) for file in mocap],
        "snippets": list(data.train.snippets),
        "extra_snippets": [str(snippet) for _, snippet in subjects.get("clips", ())],
    }


def _follow(module: DistillModule, dataset: ExpertDataset) -> None:
    """Learn as one of the other processes: the first one decides when it is over."""
    try:
        with Interrupts(ignored=True) as interrupts, quiet_lightning():
            trainer = make_trainer(module.config, module.config.max_steps - module.step, StepCounter(interrupts))
            trainer.fit(module, datamodule=SharedBatches(dataset, module.config, module.step))
    except RuntimeError as error:
        reason = next(iter(str(error).splitlines()), "")
        raise RunError(
            f"Process {rank(module.config)} failed, or lost the one that leads: {reason}",
            hint="Go on from the last checkpoint with --resume.",
        ) from error


def _lead(learner: _Learner, run: Run) -> str:
    """Learn, and say why it ended."""
    config, module = run.config, learner.module
    timed = config.max_minutes is not None
    total = 60.0 * config.max_minutes if config.max_minutes is not None else config.max_steps
    with run.progress.task(f"Distilling {config.model}", total, "s" if timed else "steps") as task:
        monitor = DistillMonitor(run, task)
        try:
            _fit(learner, monitor)
            if run.interrupts.asked and module.step < config.max_steps:
                raise _interrupted(module, monitor)
        finally:
            monitor.close()
    return monitor.stopped_because


def _fit(learner: _Learner, monitor: DistillMonitor) -> None:
    module, saved, config = learner.module, learner.saved, learner.module.config
    left = config.max_steps - module.step
    if left <= 0:
        monitor.evaluate_if_new(module)
        return
    trainer = None
    try:
        with torch_threads(config.threads), quiet_lightning():
            trainer = make_trainer(config, left, monitor)
            if saved and saved.scaler:
                trainer.precision_plugin.load_state_dict(saved.scaler)
            trainer.fit(module, datamodule=SharedBatches(learner.dataset, config, module.step))
    except BaseException as error:
        end_launched(trainer)
        # Lightning turns Ctrl-C into an exit of its own.
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise _interrupted(module, monitor) from error
        raise


def _interrupted(module: DistillModule, monitor: DistillMonitor) -> InterruptedRunError:
    """Save what is whole, and return what Ctrl-C is answered with."""
    root = monitor.run.folder.root
    if monitor.at_rest:
        monitor.save_if_new(module)
        said = f"Stopped after {module.step:,} steps; all is saved in {root}."
    else:
        said = f"Stopped in the middle of a step; the last checkpoint in {root} is kept."
    return InterruptedRunError(said, hint="Continue with --resume.")
