"""What happens between the updates of PPO: step size, evaluations, checkpoints, limits and records."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecNormalize

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.starts import FailureStarts
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.evaluation.evaluate import EvalConfig, Evaluation, evaluate
from mocapact_cli.core.evaluation.expert_report import draw_curve
from mocapact_cli.core.evaluation.report import EVALUATIONS_FILE, EvaluationHistory, read_evaluations
from mocapact_cli.core.interop.expert_folder import write_model
from mocapact_cli.core.progress import Progress, ProgressTask
from mocapact_cli.core.training.expert.checkpoint import Progression, save_checkpoint
from mocapact_cli.core.training.expert.config import ExpertConfig
from mocapact_cli.core.training.expert.model import snapshot
from mocapact_cli.core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from stable_baselines3 import PPO

_STEP_SIZE_RANGE = (1e-5, 2e-3)
_STEP_SIZE_FACTOR = 1.5
_LOST = 100.0
"""Divergence of an update after which the policy has nothing to do with what it was; numbers may still be finite."""
_TRACKED = ("norm_length", "norm_return")
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


def diverged(run: Run, timesteps: int) -> RunError:
    """The error of a learner whose numbers are no longer finite."""
    return RunError(
        f"The learner diverged after {timesteps:,} steps; the best model so far is kept in {run.folder.root}.",
        hint="Lower learning_rate or desired_kl in the configuration.",
    )


class ExpertMonitor(BaseCallback):
    """Runs between updates.

    Everything that steers training depends on the samples taken, not on the clock; time only ends it. At a checkpoint
    the episodes and the random generators begin anew from a seed that the sample count gives, in a run that goes on
    just as in one that is resumed, so both follow the same curve.

    Args:
        run: the run. progression: where it stands. starts: where its episodes begin. task: the progress bar.
    """

    def __init__(self, run: Run, progression: Progression, starts: FailureStarts, task: ProgressTask) -> None:
        super().__init__()
        self.run, self.progression, self.starts, self.task = run, progression, starts, task
        self.stopped_because = "all steps were taken"
        self._resumed_at = progression.seconds
        self._started = time.monotonic()
        self._learned_since_checkpoint = False
        self._episodes: list[dict[str, float]] = []
        self._threads = run.config.threads or torch.get_num_threads()

    @property
    def seconds(self) -> float:
        """Wall-clock training time, of all sessions together."""
        return self._resumed_at + time.monotonic() - self._started

    def _init_callback(self) -> None:
        # By itself this counter waits for the first step of a resumed run.
        self.num_timesteps = self.model.num_timesteps

    def _on_rollout_start(self) -> None:
        self._judge_update()
        if self.checkpoint_due():
            self.checkpoint()
        # The physics has its own threads on these cores while steps are collected.
        torch.set_num_threads(1)

    def _on_rollout_end(self) -> None:
        torch.set_num_threads(self._threads)
        self._record_update()
        self._learned_since_checkpoint = True

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._episodes.append(info["episode"])
        limit = self.run.config.max_minutes
        if limit is not None and self.seconds >= 60.0 * limit:
            self.stopped_because = f"{limit:g} minutes were over"
        elif self._has_converged():
            self.stopped_because = "the normalized return no longer grew"
        else:
            return True
        return False

    def checkpoint_due(self) -> bool:
        """Whether it is time to evaluate and save."""
        return self.num_timesteps >= self.progression.next_eval

    def checkpoint(self) -> None:
        """Evaluate, keep the policy if it is the best so far, save all state and begin from a known seed."""
        rsi = self._evaluate(_RSI, self.run.config.n_rsi_episodes, self.run.config.rsi_act_noise)
        start = self._evaluate(_START, self.run.config.n_start_episodes, self.run.config.start_act_noise)
        self._judge_gain(rsi)
        self._report(rsi, start)
        self.progression.next_eval = self.num_timesteps + self.run.config.eval_every
        self.save()
        self._draw()
        self.begin_anew()

    def finish(self) -> None:
        """Make a last checkpoint, unless nothing was learned since the one before."""
        if self._learned_since_checkpoint:
            self._judge_update()
            self.checkpoint()

    def save(self) -> None:
        """Write a checkpoint of what is now."""
        self.progression.timesteps, self.progression.seconds = self.num_timesteps, self.seconds
        self.progression.missing = self.starts.missing.tolist()
        save_checkpoint(self.run.folder.checkpoints, self._ppo, self._env, self.progression)
        self._learned_since_checkpoint = False

    def begin_anew(self) -> None:
        """Seed all randomness by the sample count and begin an episode everywhere."""
        seed = int(np.random.SeedSequence([self.run.config.seed, self.num_timesteps]).generate_state(1)[0] >> 1)
        set_random_seed(seed)
        env = self._env
        env.seed(seed)
        # A resumed run begins anew once more than one that went on; its statistics must not know.
        env.training = False
        self.model._last_obs = env.reset()
        env.training = True
        self.model._last_episode_starts = np.ones(env.num_envs, dtype=bool)

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

    def _draw(self) -> None:
        """Redraw the curve; a picture is nothing to end a run for, whatever goes wrong with it."""
        try:
            draw_curve(self.run.folder.root)
        except Exception as error:  # noqa: BLE001
            self.run.progress.message(f"The curve could not be drawn: {error}")

    @property
    def _ppo(self) -> PPO:
        return cast("PPO", self.model)

    @property
    def _env(self) -> VecNormalize:
        env = self.model.get_vec_normalize_env()
        if env is None:
            raise RuntimeError("Expert training needs a VecNormalize environment.")
        return env

    def _evaluate(self, kind: str, episodes: int, noise: float) -> Evaluation:
        run = self.run
        policy = snapshot(self._ppo, self._env, run.config, run.observables)
        result = evaluate(policy, [(run.clip, run.snippet)], self.evaluation_config(kind, episodes, noise))
        self._remember(run.folder.root / kind / EVALUATIONS_FILE, result)
        best = self.progression.best_rsi if kind == _RSI else self.progression.best_start
        if result.norm_return > best:
            write_model(run.folder.root / kind / "model", policy, self._hyperparameters())
            self._keep(kind, result.norm_return)
        return result

    def _remember(self, path: Path, result: Evaluation) -> None:
        if path.exists():
            history = read_evaluations(path).until(self.num_timesteps - 1).extended(self.num_timesteps, result.ends)
        else:
            history = EvaluationHistory.of(self.num_timesteps, result.ends)
        history.save(path)

    def _keep(self, kind: str, norm_return: float) -> None:
        if kind == _RSI:
            self.progression.best_rsi = norm_return
        else:
            self.progression.best_start = norm_return

    def _hyperparameters(self) -> dict[str, Any]:
        config = self.run.config
        return {
            "gamma": config.gamma,
            "gae_lambda": config.gae_lambda,
            "num_timesteps": self.num_timesteps,
            "n_epochs": config.n_epochs,
            "batch_size": config.batch_size,
            "seed": config.seed,
        }

    def _judge_gain(self, rsi: Evaluation) -> None:
        """Count evaluations of a good policy that brought no gain."""
        config, progression = self.run.config, self.progression
        if rsi.norm_return >= progression.reference_return + config.stop_min_gain:
            progression.reference_return, progression.stale = rsi.norm_return, 0
        elif rsi.norm_length >= config.stop_norm_length:
            progression.stale += 1

    def _has_converged(self) -> bool:
        return self.progression.stale >= self.run.config.stop_patience

    def _judge_update(self) -> None:
        """See what the last update has done, if this session made one."""
        self._check_finite()
        divergence = self.logger.name_to_value.get("train/approx_kl")
        if divergence is not None:
            self.progression.kl = float(divergence)
            if not self.progression.kl < _LOST:
                raise diverged(self.run, self.num_timesteps)
            self._adapt_step_size(self.progression.kl)

    def _adapt_step_size(self, divergence: float) -> None:
        """Keep the divergence of an update near the wanted one, as adaptive PPO does (Schulman et al., 2017)."""
        wanted = self.run.config.desired_kl_after(self.num_timesteps)
        if wanted is None:
            return
        factor = 1.0 / _STEP_SIZE_FACTOR if divergence > 2.0 * wanted else 1.0
        factor = _STEP_SIZE_FACTOR if divergence < 0.5 * wanted else factor
        self.progression.step_size = float(np.clip(self.progression.step_size * factor, *_STEP_SIZE_RANGE))

    def _check_finite(self) -> None:
        if not all(bool(torch.isfinite(values).all()) for values in self.model.policy.state_dict().values()):
            raise diverged(self.run, self.num_timesteps)

    def _record_update(self) -> None:
        config, episodes = self.run.config, self._episodes
        row: dict[str, Any] = {"timesteps": self.num_timesteps, "seconds": round(self.seconds, 2)}
        if episodes:
            row |= {f"train_{name}": float(np.mean([episode[name] for episode in episodes])) for name in _TRACKED}
        row |= {"step_size": self.progression.step_size, "kl": self.progression.kl}
        self.run.folder.add_metrics(row)
        for name, value in row.items():
            self.logger.record(f"expert/{name}", value)
        self._episodes = []
        # An update is never cut short, so the last one may pass the limit.
        done = self.seconds if config.max_minutes else min(self.num_timesteps, config.total_timesteps)
        self.task.update(completed=done)
        if episodes:
            self.task.update(length=f"{row['train_norm_length']:.2f}")

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
