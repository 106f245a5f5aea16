"""What happens between the updates of training for a task: evaluations and records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mocapact_cli.core.evaluation.report import EVALUATIONS_FILE
from mocapact_cli.core.evaluation.transfer import TransferEvalConfig, TransferEvaluation, evaluate_task
from mocapact_cli.core.interop.policy_places import TASK_MODEL
from mocapact_cli.core.interop.transfer_folder import write_transfer_model
from mocapact_cli.core.media.curves import CURVE_FILE, plot_task_training
from mocapact_cli.core.policies.low_level import LowLevelPolicy
from mocapact_cli.core.progress import Progress
from mocapact_cli.core.tasks.goal import GoalTask
from mocapact_cli.core.training.ppo.checkpoint import Progression
from mocapact_cli.core.training.ppo.monitor import PpoMonitor
from mocapact_cli.core.training.run_folder import RunFolder
from mocapact_cli.core.training.transfer.config import TransferConfig
from mocapact_cli.core.training.transfer.model import decoder_for, snapshot


@dataclass(frozen=True)
class TransferRun:
    """What a training run works on: its settings, its folder, its task, what it acts through and who watches."""

    config: TransferConfig
    folder: RunFolder
    task: GoalTask
    low_level: LowLevelPolicy | None
    mocap: tuple[Path, ...]
    progress: Progress

    @property
    def record(self) -> dict[str, Any]:
        """What is kept with a model, so that its evaluation needs nothing else."""
        return {
            "task": self.task.name,
            "settings": dict(self.config.task_settings),
            "low_level": self.low_level is not None,
            "max_embed": self.config.max_embed,
            "mocap": [str(path) for path in self.mocap],
        }


@dataclass
class TransferProgression(Progression):
    """Numbers that training for a task carries from update to update.

    Attributes:
        best: Best mean return of the evaluations; None before the first.
    """

    best: float | None = None


class TransferMonitor(PpoMonitor):
    """Runs between updates of training for a task."""

    group = "transfer"
    tracked: ClassVar[dict[str, str]] = {"train_return": "r", "train_length": "l"}
    shown = ("train_return", "return", ".2f")
    run: TransferRun
    progression: TransferProgression

    def judge(self) -> None:
        """Evaluate, keep the policy if its mean return is the best so far, and report."""
        run, config = self.run, self.run.config
        policy = snapshot(self.ppo, self.env, config, run.task, run.low_level)
        settings = TransferEvalConfig(config.n_eval_episodes, seed=config.seed, threads=config.threads)
        result = evaluate_task(policy, run.task, settings)
        self.remember(run.folder.root / TASK_MODEL.parts[0] / EVALUATIONS_FILE, result.ends)
        if self.progression.best is None or result.mean_return > self.progression.best:
            bound = decoder_for(run.task, run.low_level).bound
            folder = run.folder.root / TASK_MODEL
            write_transfer_model(folder, policy.controller, run.record, self.hyperparameters(), bound=bound)
            self.progression.best = result.mean_return
        self._report(result)

    def draw_curve(self) -> None:
        """Draw the evaluations so far into `curve.png`."""
        rows = [row for row in self.run.folder.metrics() if "eval_return" in row]
        through = "embeddings" if self.run.low_level is not None else "joints"
        plot_task_training(self.run.folder.root / CURVE_FILE, rows, title=f"{self.run.task.name} by {through}")

    def _report(self, result: TransferEvaluation) -> None:
        scores = result.scores()
        row = {
            "timesteps": self.num_timesteps,
            "seconds": round(self.seconds, 2),
            "eval_return": result.mean_return,
            "eval_length": scores["length"]["mean"],
            "eval_falls": scores["early_termination_rate"],
            **{f"eval_{name}": value for name, value in scores["task"].items()},
        }
        self.run.folder.add_metrics(row)
        for name, value in row.items():
            if value is not None:
                self.logger.record(f"eval/{name}", value)
        measured = ", ".join(
            f"{name.replace('_', ' ')} {value:.3g}" for name, value in scores["task"].items() if value is not None
        )
        self.run.progress.message(
            f"{self.num_timesteps:>9,} steps, {self.seconds:5.0f} s: return {result.mean_return:.2f}, length "
            f"{scores['length']['mean']:.0f}, falls {scores['early_termination_rate']:.0%}; {measured}."
        )
