"""What happens between the updates of an expert's training: evaluations, the end of it, records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.starts import FailureStarts
from mocapact_cli.core.evaluation.evaluate import EvalConfig, Evaluation, evaluate
from mocapact_cli.core.evaluation.expert_report import draw_curve
from mocapact_cli.core.evaluation.report import EVALUATIONS_FILE
from mocapact_cli.core.interop.expert_folder import write_model
from mocapact_cli.core.progress import Progress, ProgressTask
from mocapact_cli.core.training.expert.config import ExpertConfig
from mocapact_cli.core.training.expert.imitation import imitate_teacher
from mocapact_cli.core.training.expert.model import snapshot
from mocapact_cli.core.training.expert.privileged import PrivilegedPPO
from mocapact_cli.core.training.expert.progression import ExpertProgression
from mocapact_cli.core.training.ppo.monitor import PpoMonitor
from mocapact_cli.core.training.run_folder import RunFolder

_RSI, _START = "eval_rsi", "eval_start"


@dataclass(frozen=True)
class Run:
    """What a training run works on: its settings, its folder, its motion and who watches."""

    config: ExpertConfig
    folder: RunFolder
    clip: Clip
    snippet: Snippet
    observables: tuple[str, ...]
    progress: Progress


class ExpertMonitor(PpoMonitor):
    """Runs between updates of an expert's training.

    Args:
        run: The run.
        progression: Where it stands.
        starts: Where its episodes begin.
        task: The progress bar.
    """

    group = "expert"
    tracked: ClassVar[dict[str, str]] = {"train_norm_length": "norm_length", "train_norm_return": "norm_return"}
    shown = ("train_norm_length", "length", ".2f")
    run: Run
    progression: ExpertProgression

    def __init__(self, run: Run, progression: ExpertProgression, starts: FailureStarts, task: ProgressTask) -> None:
        super().__init__(run, progression, task)
        self.starts = starts

    def judge(self) -> None:
        """Evaluate from random steps and from the start, keep what is best so far, and see whether it still grows.

        An expert that has a teacher learns from it first.
        """
        self._imitate()
        rsi = self._evaluate(_RSI, self.run.config.n_rsi_episodes, self.run.config.rsi_act_noise)
        start = self._evaluate(_START, self.run.config.n_start_episodes, self.run.config.start_act_noise)
        self._judge_gain(rsi)
        self._report(rsi, start)

    def save(self) -> None:
        """Write a checkpoint of what is now."""
        self.progression.missing = self.starts.missing.tolist()
        super().save()

    def has_converged(self) -> bool:
        """Whether a good policy has brought no gain for long enough."""
        return self.progression.stale >= self.run.config.stop_patience

    def evaluation_config(self, kind: str, episodes: int, noise: float) -> EvalConfig:
        """How policies are evaluated: by random starts or from the snippet's first step."""
        config = self.run.config
        return EvalConfig(
            n_eval_episodes=episodes,
            always_init_at_clip_start=kind == _START,
            act_noise=noise,
            min_steps=config.eval_min_steps,
            termination_error_threshold=config.termination_error_threshold,
            seed=config.seed,
            threads=config.threads,
        )

    def begin_anew(self) -> None:
        """Seed all randomness by the sample count and begin an episode everywhere."""
        super().begin_anew()
        if isinstance(self.model, PrivilegedPPO):
            self.model.forget_pupil_gradients()

    def draw_curve(self) -> None:
        """Draw length and return into `curve.png`."""
        draw_curve(self.run.folder.root)

    def _imitate(self) -> None:
        """Let the expert act and learn what its teacher would do, if that has learned something since the last time."""
        config = self.run.config
        if not config.teacher or self.num_timesteps == self.progression.taught:
            return
        # As many however short the time since: with fewer it would forget more than it learns.
        steps = round(config.imitation_share * config.eval_every)
        taken = imitate_teacher(self.ppo, self.env, steps, self._threads, self.run.progress)
        self.model.num_timesteps += taken
        self.num_timesteps = self.progression.taught = self.model.num_timesteps

    def _evaluate(self, kind: str, episodes: int, noise: float) -> Evaluation:
        run = self.run
        policy = snapshot(self.ppo, self.env, run.config, run.observables)
        result = evaluate(policy, [(run.clip, run.snippet)], self.evaluation_config(kind, episodes, noise))
        self.remember(run.folder.root / kind / EVALUATIONS_FILE, result.ends)
        if self._is_best(kind, result):
            write_model(run.folder.root / kind / "model", policy, self.hyperparameters())
        return result

    def _is_best(self, kind: str, result: Evaluation) -> bool:
        """Whether an evaluation is the best so far, which is then noted: who lasts is better than who does well."""
        standing = self.progression
        found = min(result.norm_length, self.run.config.stop_norm_length), result.norm_return
        if kind == _RSI and found > (standing.length_rsi, standing.best_rsi):
            standing.length_rsi, standing.best_rsi = found
        elif kind == _START and found > (standing.length_start, standing.best_start):
            standing.length_start, standing.best_start = found
        else:
            return False
        return True

    def _judge_gain(self, rsi: Evaluation) -> None:
        """Count evaluations of a good policy that brought no gain."""
        config, progression = self.run.config, self.progression
        if rsi.norm_return >= progression.reference_return + config.stop_min_gain:
            progression.reference_return, progression.stale = rsi.norm_return, 0
        elif rsi.norm_length >= config.stop_norm_length:
            progression.stale += 1

    def _report(self, rsi: Evaluation, start: Evaluation) -> None:
        row = {
            "timesteps": self.num_timesteps,
            "seconds": round(self.seconds, 2),
            "rsi_norm_length": rsi.norm_length,
            "rsi_norm_return": rsi.norm_return,
            "start_norm_length": start.norm_length,
            "start_norm_return": start.norm_return,
        }
        self.run.folder.add_metrics(row)
        for name, value in row.items():
            self.logger.record(f"eval/{name}", value)
        self.run.progress.message(
            f"{self.num_timesteps:>9,} steps, {self.seconds:5.0f} s: normalized length {rsi.norm_length:.3f} from "
            f"random steps, {start.norm_length:.3f} from the start; normalized return {rsi.norm_return:.3f}."
        )
