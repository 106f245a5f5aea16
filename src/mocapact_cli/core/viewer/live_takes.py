"""Takes that are made while they are watched: a policy acts in the batched physics, one control step a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.policies.threads import few_torch_threads
from mocapact_cli.core.rollouts.episodes import stream_ticks
from mocapact_cli.core.sim.rewards import termination_error
from mocapact_cli.core.tasks.goal import GoalCursor
from mocapact_cli.core.viewer.curves import ERROR, REWARD, Chart
from mocapact_cli.core.viewer.takes import FloatArray, Take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.envs.batch import EpisodeEnd, Reached, TrackingBatch
    from mocapact_cli.core.rollouts.episodes import Actor, PlannedEpisode, Tick
    from mocapact_cli.core.tasks.goal import Mark

    Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class Stage:
    """One environment, the one episode that is planned for it, and who acts.

    Attributes:
        title: What is seen.
        batch: A batch of one environment.
        plan: The episode.
        actor: Acts.
        charts: Which curves are drawn together.
        act_noise: Standard deviation of the noise on the actions.
        noise_from: Step from which on there is noise.
        seed: Of the noise.
        tracks: Whether there is a reference.
    """

    title: str
    batch: TrackingBatch
    plan: Sequence[PlannedEpisode]
    actor: Actor
    charts: tuple[Chart, ...]
    act_noise: float = 0.0
    noise_from: int = 0
    seed: int = 0
    tracks: bool = True


class LiveTake(Take):
    """An episode that goes on by a control step whenever the next frame is asked for.

    It is what an evaluation with the same start, noise and seed runs. What has been seen is kept, so one can go back.

    Args:
        stage: Who acts where.
        capacity: Frames that there are at most.
    """

    def __init__(self, stage: Stage, capacity: int) -> None:
        start = stage.plan[0].start
        step = start.start_step if stage.tracks else None
        super().__init__(stage.title, capacity, charts=stage.charts, first_step=step, prompt=stage.noise_from)
        self._stage = stage
        first = _FirstLook(stage, self)
        self._ticks = stream_ticks(
            stage.batch, stage.plan, first, act_noise=stage.act_noise, noise_from=stage.noise_from, seed=stage.seed
        )
        self.end: EpisodeEnd | None = None
        self.extend()

    @property
    def grows(self) -> bool:
        """Whether the episode goes on."""
        return self.end is None

    def extend(self) -> bool:
        """Take one control step; False where the episode has ended."""
        if self.end is not None:
            return False
        with few_torch_threads(self._stage.batch.threads):
            tick, ended = next(self._ticks)
        reached = self._stage.batch.reached()
        if np.isfinite(reached.qpos[0]).all():
            self.add(reached.qpos[0], self._reference(reached), self._measured(tick, reached))
        if ended:
            self.end = ended[0][1]
            self.outcome = self._ending(self.end)
        return True

    def push(self, velocity: FloatArray) -> None:
        """Shove the walker after its last frame, unless its episode has ended.

        Args:
            velocity: (3,) what is added to the velocity of all its parts, m/s.
        """
        if self.end is None:
            self._stage.batch.push(0, velocity)

    def close(self) -> None:
        """Release the environment."""
        self._stage.batch.close()

    def add(self, pose: FloatArray, ghost: FloatArray | None, measured: dict[str, float]) -> None:
        """Append a frame.

        Args:
            pose: (63,) the walker's.
            ghost: (63,) the reference's.
            measured: Values of curves; others are not known.
        """
        self.poses.append(pose)
        self.ghosts.append(ghost if self._stage.tracks else None)
        for name in dict.fromkeys(name for chart in self.charts for name in chart.curves):
            self.curves.setdefault(name, []).append(measured.get(name, np.nan))
        if not self._stage.tracks:
            self.marks.append(self._goal(pose))

    def _reference(self, reached: Reached) -> FloatArray:
        return np.array(self._stage.batch.task.bank.qpos[reached.rows[0]])

    def _measured(self, tick: Tick, reached: Reached) -> dict[str, float]:
        channels = {name: float(values[0]) for name, values in tick.result.channels.items()}
        measured = {REWARD: float(tick.result.rewards[0]), **channels}
        if self._stage.tracks:
            bank, row = self._stage.batch.task.bank, reached.rows
            apart = (reached.body_positions - bank.body_positions[row]).reshape(1, -1)
            measured[ERROR] = float(termination_error(reached.qpos[:, 7:] - bank.joints[row], apart)[0])
        return measured

    def _goal(self, pose: FloatArray) -> Sequence[Mark]:
        (cursor,) = self._stage.batch.cursors()
        return cursor.marks(0, pose[:3]) if isinstance(cursor, GoalCursor) else ()

    def _ending(self, end: EpisodeEnd) -> str:
        if end.diverged:
            return "the simulation diverged"
        if not end.early_termination:
            return "reached the end"
        tracks = self._stage.tracks and not self._stage.batch.task.watches_falls
        return "failed: too far from the reference" if tracks else "fell"


class _FirstLook:
    """The stage's actor, before whose first action the first frame is taken."""

    def __init__(self, stage: Stage, take: LiveTake) -> None:
        self._stage, self._take = stage, take

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        """Return the actor's mean actions (1, A)."""
        if not self._take.poses:
            pose, reference = (part[0] for part in self._stage.batch.poses())
            self._take.add(pose, reference, {})
        return self._stage.actor.means(observations, episodes)
