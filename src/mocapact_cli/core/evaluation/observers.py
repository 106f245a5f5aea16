"""Listeners that measure what happens while episodes run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.evaluation.motion import Motion, MotionScorer, MotionScores
from mocapact_cli.core.tasks.tracking import Start
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, FloatArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.envs.batch import EpisodeEnd, TrackingBatch
    from mocapact_cli.core.rollouts.episodes import PlannedEpisode, Tick


class MotionObserver:
    """Keeps the poses of the running episodes and scores each episode at its end.

    The poses are those after each step, up to the last one. The last one of a diverged simulation does not count, nor
    do those beyond the end of the snippet.

    Args:
        batch: The environments.
        episodes: Number of planned episodes.
    """

    def __init__(self, batch: TrackingBatch, episodes: int) -> None:
        self._batch = batch
        self._scorer = MotionScorer(batch.walker, CONTROL_TIMESTEP)
        self._scores: list[MotionScores | None] = [None] * episodes
        self._longest = int(batch.task.last_step.max())
        self._kept: dict[str, NDArray[Any]] = {}

    @property
    def scores(self) -> list[MotionScores | None]:
        """The scores in the order of the plan; None of episodes that have not ended."""
        return self._scores

    def on_tick(self, tick: Tick) -> None:
        """Keep the poses after this step."""
        envs = np.flatnonzero(tick.steps < self._longest)
        for name, values in (vars(self._batch.reached()) | {"actions": tick.means}).items():
            if name not in self._kept:
                shape = (len(values), self._longest, *values.shape[1:])
                self._kept[name] = np.empty(shape, dtype=values.dtype)
            self._kept[name][envs, tick.steps[envs]] = values[envs]

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """Score the episode."""
        inside = self._batch.task.steps_left(Start(episode.snippet_index, episode.start_step))
        steps = min(episode.length - episode.diverged, inside)
        seen = {name: values[episode.env, :steps] for name, values in self._kept.items()}
        rows, bank = seen["rows"], self._batch.task.bank
        motion = Motion.of(seen["qpos"], seen["qvel"], seen["body_positions"], seen["body_quaternions"])
        wanted = bank.motion[rows]
        reference = Motion.of(wanted[:, :63], wanted[:, 63:], bank.body_positions[rows], bank.body_quaternions[rows])
        self._scores[index] = self._scorer.score(motion, reference, seen["actions"])


@dataclass(frozen=True)
class RewardCurves:
    """The reward's parts along one snippet of T steps; NaN where no episode came by.

    Attributes:
        times: (T,) seconds of clip time at which the steps end.
        means: Channel -> (T,) mean over the episodes that were running.
        deviations: The same, standard deviations.
    """

    times: FloatArray
    means: dict[str, FloatArray]
    deviations: dict[str, FloatArray]


class RewardsOverTime:
    """Adds up the reward's channels by the clip's step, over episodes that track one snippet.

    Args:
        batch: The environments of that snippet.
        plan: The episodes.
    """

    def __init__(self, batch: TrackingBatch, plan: Sequence[PlannedEpisode]) -> None:
        self._first = batch.snippets[0].start_step
        self._starts = np.array([episode.start.start_step for episode in plan]) - self._first
        self._counts: FloatArray = np.zeros(int(batch.task.last_step[0]))
        self._sums: dict[str, FloatArray] = {}
        self._squares: dict[str, FloatArray] = {}

    def on_tick(self, tick: Tick) -> None:
        """Add the rewards of this step."""
        busy = np.flatnonzero(tick.episodes >= 0)
        steps = self._starts[tick.episodes[busy]] + tick.steps[busy]
        self._counts += np.bincount(steps, minlength=len(self._counts))
        for name, rewards in tick.result.channels.items():
            for sums, values in ((self._sums, rewards[busy]), (self._squares, rewards[busy] ** 2)):
                sums.setdefault(name, np.zeros_like(self._counts))
                sums[name] += np.bincount(steps, values, minlength=len(self._counts))

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """Need nothing at an episode's end."""

    def curves(self) -> RewardCurves:
        """What the episodes so far came to."""
        counts: FloatArray = np.where(self._counts > 0, self._counts, np.nan)
        means = {name: values / counts for name, values in self._sums.items()}
        spread = {
            name: np.asarray(np.sqrt(np.maximum(self._squares[name] / counts - means[name] ** 2, 0.0)))
            for name in means
        }
        times = np.asarray((self._first + 1 + np.arange(len(counts))) * CONTROL_TIMESTEP)
        return RewardCurves(times, means, spread)
