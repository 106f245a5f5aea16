"""What happens between the gradient steps of a distillation: metrics, evaluations, checkpoints, ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as lightning
import torch
from pytorch_lightning.plugins.precision import Precision

from mocapact_cli.core.errors import RunError
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.training.distillation.completions import CompletionEvaluation
from mocapact_cli.core.training.distillation.config import DistillConfig
from mocapact_cli.core.training.distillation.evaluations import Evaluation, validation_loss
from mocapact_cli.core.training.distillation.interrupts import Interrupts
from mocapact_cli.core.training.distillation.module import DistillModule
from mocapact_cli.core.training.distillation.processes import Agreement
from mocapact_cli.core.training.distillation.records import Records
from mocapact_cli.core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from mocapact_cli.core.datasets.loader import BatchLoader
    from mocapact_cli.core.progress import Progress, ProgressTask

LAST, BEST = "model/last.ckpt", "model/best.ckpt"
BEST_OF_MODE = "eval/{}/best_model.ckpt"
"""Best policy of each evaluation, where the original keeps it."""
VAL_LOSS = "val_loss"
_RECORD_EVERY = 50
"""Gradient steps that a line of the metrics is over."""
_SHOW_EVERY = 0.5
"""Seconds between updates of the progress bar."""


@dataclass
class Standing:
    """Where a run stands.

    Attributes:
        step: Gradient steps taken.
        seconds: Wall-clock training time so far.
        evaluated: Steps at the last evaluation.
        best: Evaluation (or `val_loss`) -> its best score (or least loss) so far: mean normalized return, or seconds.
    """

    step: int = 0
    seconds: float = 0.0
    evaluated: int = 0
    best: dict[str, float] = field(default_factory=dict)

    def improves(self, name: str, value: float) -> bool:
        """Take note of a value, and say whether it is the best so far."""
        known = self.best.get(name)
        if known is not None and (value >= known if name == VAL_LOSS else value <= known):
            return False
        self.best[name] = value
        return True


@dataclass(frozen=True)
class Run:
    """What a training works on.

    Attributes:
        config: Its settings.
        folder: Its folder.
        standing: Where it stands; kept up to date.
        evaluations: Those in simulation.
        validation: Batches that are held out.
        samples: Of a gradient step.
        interrupts: Ctrl-C.
        progress: Told of evaluations.
    """

    config: DistillConfig
    folder: RunFolder
    standing: Standing
    evaluations: Sequence[Evaluation | CompletionEvaluation]
    validation: BatchLoader | None
    samples: int
    interrupts: Interrupts
    progress: Progress


class StepCounter(lightning.Callback):
    """Counts the steps, and ends them when the first process says so: all that the other processes do between steps.

    Args:
        interrupts: How signals are answered.

    Attributes:
        at_rest: Whether no step is under way, so that what is in memory can be saved.
    """

    def __init__(self, interrupts: Interrupts) -> None:
        self.at_rest, self._interrupts = True, interrupts

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Find a way to agree with the other processes, and wait for what the first one does before all steps."""
        self._interrupts.listen()
        self._agreement = Agreement(trainer.world_size)
        self.before_steps(trainer, pl_module)
        self._agreement.stop(wanted=False)

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: Any, *rest: Any) -> None:  # noqa: ARG002
        """A step begins."""
        self.at_rest = False

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: DistillModule, *rest: Any) -> None:  # type: ignore[override]  # noqa: ARG002
        """Take note of a step, and stop where it is time."""
        pl_module.step += 1
        self.at_rest = True
        if self._agreement.stop(wanted=self.after_step(trainer, pl_module)):
            trainer.should_stop = True

    def before_steps(self, trainer: lightning.Trainer, module: DistillModule) -> None:
        """Do what is due before the first step."""

    def after_step(self, trainer: lightning.Trainer, module: DistillModule) -> bool:  # noqa: ARG002
        """Do what is due after a step, and say whether to stop."""
        return False


class DistillMonitor(StepCounter):
    """Follows a training and keeps its folder.

    Args:
        run: The training.
        task: The progress bar.

    Attributes:
        stopped_because: Why it ended.
    """

    def __init__(self, run: Run, task: ProgressTask) -> None:
        super().__init__(run.interrupts)
        self.run, self.task, self.config, self.standing = run, task, run.config, run.standing
        self.stopped_because = "all steps were taken"
        self._precision: Precision | None = None
        self._before, self._began = run.standing.seconds, float("inf")
        self._records = Records(run.folder)
        self._losses: list[dict[str, torch.Tensor]] = []
        self._recorded = self._shown = self._saved_at = 0.0
        self._saved = run.standing.step

    @property
    def seconds(self) -> float:
        """Wall-clock training time, of all sessions together."""
        return self._before + max(time.monotonic() - self._began, 0.0)

    def before_steps(self, trainer: lightning.Trainer, module: DistillModule) -> None:
        """Make the evaluation that a run which now goes on has not come to."""
        self._precision = trainer.precision_plugin
        self._began = self._recorded = self._shown = self._saved_at = time.monotonic()
        if module.step and module.step % self.config.eval_every == 0:
            self.evaluate_if_new(module)

    def after_step(self, trainer: lightning.Trainer, module: DistillModule) -> bool:  # noqa: ARG002 - the base's
        """Record, show, evaluate and save where it is time; say whether to stop."""
        self.standing.step = module.step
        # Nothing is read here, since that would wait for the device.
        self._losses.append(module.seen)
        over = self._is_over()
        due = module.step % self.config.eval_every == 0 or over or module.step == self.config.max_steps
        # Before a checkpoint too, so that none is made of a policy that has come to nothing.
        if due or module.step % _RECORD_EVERY == 0:
            self._record()
        if due:
            self.save(module)
            self.evaluate_if_new(module)
        elif time.monotonic() - self._saved_at >= 60.0 * self.config.save_every_minutes:
            self._record()
            self.save(module)
        self._show()
        return over or self.run.interrupts.asked

    def evaluate_if_new(self, module: DistillModule) -> None:
        """Evaluate, keep the policy where it is the best so far, and save, unless that was done at this step."""
        if self.standing.evaluated == module.step:
            return
        row = self._evaluate(module)
        self.standing.evaluated = module.step
        if row:
            self._keep_best(module, row)
            self._records.scores(module.step, self.seconds, row)
            self.run.progress.message(f"{module.step:>9,} steps, {self.seconds:5.0f} s: {said(row)}.")
            self.save(module)
        self._recorded = time.monotonic()

    def save(self, module: DistillModule) -> None:
        """Write the checkpoint from which the run can go on."""
        self.standing.seconds = self.seconds
        state = {
            "global_step": module.step,
            "standing": asdict(self.standing),
            "optimizer_states": [module.optimizer.state_dict()],
            "precision": self._precision.state_dict() if self._precision else {},
        }
        write_checkpoint(self.run.folder.root / LAST, module.policy, state)
        self._saved, self._saved_at = module.step, time.monotonic()

    def save_if_new(self, module: DistillModule) -> None:
        """Save, unless nothing was learned since the last time."""
        if self._saved < module.step:
            self._record()
            self.save(module)

    def close(self) -> None:
        """Close what is written to."""
        self._records.close()

    def _is_over(self) -> bool:
        limit = self.config.max_minutes
        if limit is None or self.seconds < 60.0 * limit:
            return False
        self.stopped_because = f"{limit:g} minutes were over"
        return True

    def _record(self) -> None:
        if not self._losses:
            return
        count, names = len(self._losses), self._losses[0]
        means = {f"train_{name}": float(torch.stack([row[name] for row in self._losses]).mean()) for name in names}
        self._losses = []
        if not all(np.isfinite(list(means.values()))):
            raise RunError(
                f"The loss is no longer a number after {self.standing.step:,} steps; the last checkpoint is kept.",
                hint="Give a smaller learning_rate in a configuration file, and go on with --resume.",
            )
        now = time.monotonic()
        rate = count * self.run.samples / max(now - self._recorded, 1e-9)
        self._recorded = now
        self._records.losses(self.standing.step, self.seconds, means | {"train_samples_per_s": round(rate, 1)})
        self.task.update(loss=f"{means['train_loss']:.4g}", samples=f"{rate:,.0f}/s")

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._shown >= _SHOW_EVERY or self.standing.step == self.config.max_steps:
            self._shown = now
            timed = self.config.max_minutes is not None
            self.task.update(completed=self.seconds if timed else self.standing.step)

    def _evaluate(self, module: DistillModule) -> dict[str, float]:
        policy, row = module.policy, dict[str, float]()
        policy.eval()
        try:
            with self.run.interrupts.at_once():
                if self.run.validation is not None:
                    row |= validation_loss(policy, self.run.validation, self.config)
                for evaluation in self.run.evaluations:
                    row |= evaluation.scores(policy)
        finally:
            policy.train()
        return row

    def _keep_best(self, module: DistillModule, row: dict[str, float]) -> None:
        modes = [evaluation.mode for evaluation in self.run.evaluations]
        better = [one.mode for one in self.run.evaluations if self.standing.improves(one.mode, row[one.score])]
        if VAL_LOSS in row and self.standing.improves(VAL_LOSS, row[VAL_LOSS]):
            better.append(VAL_LOSS)
        for mode in (mode for mode in better if mode != VAL_LOSS):
            self._write(module, self.run.folder.root / BEST_OF_MODE.format(mode))
        if [*modes, VAL_LOSS][0] in better:
            self._write(module, self.run.folder.root / BEST)

    def _write(self, module: DistillModule, path: Path) -> None:
        write_checkpoint(path, module.policy, {"global_step": module.step})


def said(row: dict[str, float]) -> str:
    """Return the numbers of an evaluation as people read them."""
    modes = [name.removesuffix("_norm_return") for name in row if name.endswith("_norm_return")]
    scores = [
        f"{mode.replace('_', ' ')} {row[f'{mode}_norm_return']:.3f} ({row[f'{mode}_norm_length']:.3f})"
        for mode in modes
    ]
    parts = [f"validation loss {row[VAL_LOSS]:.4g}"] if VAL_LOSS in row else []
    parts += [
        f"{name.removesuffix('_seconds').replace('_', ' ')} {seconds:.2f} s"
        for name, seconds in row.items()
        if name.endswith("completion_seconds")
    ]
    return "; ".join([*parts, *([f"normalized return (length) {', '.join(scores)}"] if scores else [])])
