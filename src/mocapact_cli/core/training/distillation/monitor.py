"""What happens between the gradient steps of a distillation: metrics, evaluations, checkpoints, ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as lightning
import torch

from mocapact_cli.core.errors import RunError
from mocapact_cli.core.evaluation.evaluate import EvalConfig, evaluate
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.training.distillation.config import DistillConfig
from mocapact_cli.core.training.distillation.module import DistillModule
from mocapact_cli.core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.datasets.loader import BatchLoader
    from mocapact_cli.core.progress import Progress, ProgressTask

LAST, BEST = "model/last.ckpt", "model/best.ckpt"
_RECORD_EVERY = 50
"""Gradient steps that a line of the metrics is over."""


@dataclass
class Standing:
    """Where a run stands.

    Attributes:
        step: gradient steps taken. seconds: wall-clock training time so far.
        best: best mean normalized return of an evaluation.
    """

    step: int = 0
    seconds: float = 0.0
    best: float = -1.0


class DistillMonitor(lightning.Callback):
    """Follows a training and keeps its folder.

    Args:
        folder: the run's. config: its settings. standing: where it stands; kept up to date.
        pairs: (clip, snippet) pairs to evaluate on. validation: batches to take the loss over.
        task: the progress bar. progress: told of evaluations.
    """

    def __init__(  # noqa: PLR0917 - the parts of a run
        self,
        folder: RunFolder,
        config: DistillConfig,
        standing: Standing,
        pairs: Sequence[tuple[Clip, Snippet]],
        validation: BatchLoader | None,
        task: ProgressTask,
        progress: Progress,
    ) -> None:
        self.folder, self.config, self.standing = folder, config, standing
        self.pairs, self.validation, self.task, self.progress = pairs, validation, task, progress
        self.stopped_because = "all steps were taken"
        self._before, self._began = standing.seconds, time.monotonic()
        self._sums: dict[str, torch.Tensor] = {}
        self._count = 0
        self._saved = standing.step

    @property
    def seconds(self) -> float:
        """Wall-clock training time, of all sessions together."""
        return self._before + time.monotonic() - self._began

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: Any,
        outputs: Any,  # noqa: ARG002 - Lightning gives them
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Take note of a step, and evaluate, save and stop where it is time."""
        module: DistillModule = pl_module
        module.step += 1
        self.standing.step = module.step
        for name, value in module.seen.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value
        self._count += 1
        due = module.step % self.config.eval_every == 0
        # Before a checkpoint too, so that none is made of a policy that has come to nothing.
        if due or module.step % _RECORD_EVERY == 0:
            self._record()
        if due:
            self.checkpoint(module)
        limit = self.config.max_minutes
        if limit is not None and self.seconds >= 60.0 * limit:
            self.stopped_because = f"{limit:g} minutes were over"
            trainer.should_stop = True

    def checkpoint(self, module: DistillModule) -> None:
        """Evaluate, save, and keep the policy if it is the best so far."""
        row = self._evaluate(module)
        self.save(module)
        if row.get("norm_return", -1.0) > self.standing.best:
            self.standing.best = row["norm_return"]
            write_checkpoint(self.folder.root / BEST, module.policy, {"global_step": module.step})
        if row:
            self.folder.add_metrics({"step": module.step, "seconds": round(self.seconds, 2), **row})
            said = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in row.items())
            self.progress.message(f"{module.step:>9,} steps, {self.seconds:5.0f} s: {said}.")

    def finish(self, module: DistillModule) -> None:
        """Make a last checkpoint, unless nothing was learned since the one before."""
        if self._saved < module.step:
            self._record()
            self.checkpoint(module)

    def save(self, module: DistillModule) -> None:
        """Write the checkpoint from which the run can go on."""
        self.standing.seconds = self.seconds
        state = {
            "global_step": module.step,
            "standing": asdict(self.standing),
            "optimizer_states": [module.optimizer.state_dict()],
        }
        write_checkpoint(self.folder.root / LAST, module.policy, state)
        self._saved = module.step

    def _record(self) -> None:
        if not self._count:
            return
        means = {f"train_{name}": float(total) / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        if not all(np.isfinite(list(means.values()))):
            raise RunError(
                f"The loss is no longer a number after {self.standing.step:,} steps; the last checkpoint is kept.",
                hint="Give a smaller learning_rate in a configuration file, and go on with --resume.",
            )
        self.folder.add_metrics({"step": self.standing.step, "seconds": round(self.seconds, 2), **means})
        self.task.update(completed=self.standing.step, loss=f"{means['train_loss']:.4g}")

    def _evaluate(self, module: DistillModule) -> dict[str, float]:
        module.policy.eval()
        try:
            return self._validation_loss(module) | self._rollout(module)
        finally:
            module.policy.train()

    def _validation_loss(self, module: DistillModule) -> dict[str, float]:
        if self.validation is None:
            return {}
        torch.manual_seed(self.config.seed)
        with torch.inference_mode():
            batches = range(min(self.config.val_batches, len(self.validation)))
            losses = [float(module.policy.loss(self.validation.batch(number))[0]) for number in batches]
        return {"val_loss": float(np.mean(losses))}

    def _rollout(self, module: DistillModule) -> dict[str, float]:
        if not self.pairs or not self.config.n_eval_episodes:
            return {}
        settings = EvalConfig(
            n_eval_episodes=self.config.n_eval_episodes,
            act_noise=self.config.act_noise,
            min_steps=self.config.min_steps,
            seed=self.config.seed,
            threads=self.config.threads,
        )
        result = evaluate(module.policy, self.pairs, settings)
        return {"norm_return": result.norm_return, "norm_length": result.norm_length}
