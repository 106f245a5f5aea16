"""What happens between the updates of PPO: step size, evaluations, checkpoints, limits and records."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecNormalize

from mocapact_cli.core.envs.batch import EpisodeEnd
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.evaluation.report import EvaluationHistory, read_evaluations
from mocapact_cli.core.progress import Progress, ProgressTask
from mocapact_cli.core.training.ppo.checkpoint import Progression, save_checkpoint
from mocapact_cli.core.training.ppo.settings import PpoSettings
from mocapact_cli.core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from stable_baselines3 import PPO

_STEP_SIZE_RANGE = (1e-5, 2e-3)
_STEP_SIZE_FACTOR = 1.5
_LOST = 100.0
"""Divergence of an update after which the policy has nothing to do with what it was; numbers may still be finite."""


class PpoRun(Protocol):
    """What a training run works on, as far as all have it in common."""

    @property
    def config(self) -> PpoSettings:
        """The settings."""

    @property
    def folder(self) -> RunFolder:
        """Where the run leaves its files."""

    @property
    def progress(self) -> Progress:
        """Who watches."""


def diverged(run: PpoRun, timesteps: int) -> RunError:
    """The error of a learner whose numbers are no longer finite."""
    return RunError(
        f"The learner diverged after {timesteps:,} steps; the best model so far is kept in {run.folder.root}.",
        hint="Lower learning_rate or desired_kl in the configuration.",
    )


class PpoMonitor(BaseCallback):
    """Runs between updates.

    Everything that steers training depends on the samples taken, not on the clock; time only ends it. At a checkpoint
    the episodes and the random generators begin anew from a seed that the sample count gives, in a run that goes on
    just as in one that is resumed, so both follow the same curve. A subclass gives the abstract methods.

    Args:
        run: The run.
        progression: Where it stands.
        task: The progress bar.

    Attributes:
        stopped_because: Why training has ended.
        interrupted: Whether Ctrl-C was pressed, which ends training before the next update.
    """

    group: ClassVar[str]
    """What TensorBoard calls the numbers of updates."""
    tracked: ClassVar[dict[str, str]]
    """Names in the metrics of what training episodes come to -> their names in the episodes' infos."""
    shown: ClassVar[tuple[str, str, str]]
    """The one of them in the progress bar, what the bar calls it, and its format."""

    def __init__(self, run: PpoRun, progression: Progression, task: ProgressTask) -> None:
        super().__init__()
        self.run, self.progression, self.task = run, progression, task
        self.stopped_because = "all steps were taken"
        self.interrupted = False
        self._resumed_at = progression.seconds
        self._started = time.monotonic()
        self._learned_since_checkpoint = False
        self._episodes: list[dict[str, float]] = []
        self._threads = run.config.threads or torch.get_num_threads()

    @abstractmethod
    def judge(self) -> None:
        """Evaluate the policy as it is, keep it if it is the best so far, and report."""

    @property
    def seconds(self) -> float:
        """Wall-clock training time, of all sessions together."""
        return self._resumed_at + time.monotonic() - self._started

    def _init_callback(self) -> None:
        # By itself this counter waits for the first step of a resumed run.
        self.num_timesteps = self.model.num_timesteps

    def _on_rollout_start(self) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
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
        elif self.has_converged():
            self.stopped_because = "the normalized return no longer grew"
        else:
            return True
        return False

    def checkpoint_due(self) -> bool:
        """Whether it is time to evaluate and save."""
        return self.num_timesteps >= self.progression.next_eval

    def checkpoint(self) -> None:
        """Evaluate, keep the policy if it is the best so far, save all state and begin from a known seed."""
        self.judge()
        self.progression.next_eval = self.num_timesteps + self.run.config.eval_every
        self.save()
        self._redraw()
        self.begin_anew()

    @abstractmethod
    def draw_curve(self) -> None:
        """Draw how training went so far into the run's folder."""

    def _redraw(self) -> None:
        """Redraw the curve; a picture is nothing to end a run for, whatever goes wrong with it."""
        try:
            self.draw_curve()
        except Exception as error:  # noqa: BLE001
            self.run.progress.message(f"The curve could not be drawn: {error}")

    def has_converged(self) -> bool:
        """Whether training has come to its end before its limits."""
        return False

    def finish(self) -> None:
        """Make a last checkpoint, unless nothing was learned since the one before."""
        if self._learned_since_checkpoint:
            self._judge_update()
            self.checkpoint()

    def save(self) -> None:
        """Write a checkpoint of what is now."""
        self.progression.timesteps, self.progression.seconds = self.num_timesteps, self.seconds
        save_checkpoint(self.run.folder.checkpoints, self.ppo, self.env, self.progression)
        self._learned_since_checkpoint = False

    def begin_anew(self) -> None:
        """Seed all randomness by the sample count and begin an episode everywhere."""
        seed = int(np.random.SeedSequence([self.run.config.seed, self.num_timesteps]).generate_state(1)[0] >> 1)
        set_random_seed(seed)
        env = self.env
        env.seed(seed)
        # A resumed run begins anew once more than one that went on; its statistics must not know.
        env.training = False
        self.model._last_obs = env.reset()
        env.training = True
        self.model._last_episode_starts = np.ones(env.num_envs, dtype=bool)

    @property
    def ppo(self) -> PPO:
        """The learner."""
        return cast("PPO", self.model)

    @property
    def env(self) -> VecNormalize:
        """Its environments."""
        env = self.model.get_vec_normalize_env()
        if env is None:
            raise RuntimeError("Training needs a VecNormalize environment.")
        return env

    def hyperparameters(self) -> dict[str, Any]:
        """Numbers of the algorithm that are kept with a model."""
        config = self.run.config
        return {
            "gamma": config.gamma,
            "gae_lambda": config.gae_lambda,
            "num_timesteps": self.num_timesteps,
            "n_epochs": config.n_epochs,
            "batch_size": config.batch_size,
            "seed": config.seed,
        }

    def remember(self, path: Path, ends: Sequence[EpisodeEnd]) -> None:
        """Add an evaluation to the history of them all, in place of what an interrupted run wrote after this moment."""
        if path.exists():
            history = read_evaluations(path).until(self.num_timesteps - 1).extended(self.num_timesteps, ends)
        else:
            history = EvaluationHistory.of(self.num_timesteps, ends)
        history.save(path)

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
            row |= {name: float(np.mean([episode[key] for episode in episodes])) for name, key in self.tracked.items()}
        row |= {"step_size": self.progression.step_size, "kl": self.progression.kl}
        self.run.folder.add_metrics(row)
        for name, value in row.items():
            self.logger.record(f"{self.group}/{name}", value)
        self._episodes = []
        # An update is never cut short, so the last one may pass the limit.
        done = self.seconds if config.max_minutes else min(self.num_timesteps, config.total_timesteps)
        self.task.update(completed=done)
        if episodes:
            name, label, form = self.shown
            shown: dict[str, Any] = {label: format(row[name], form)}
            self.task.update(**shown)
