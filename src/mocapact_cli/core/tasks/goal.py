"""What tasks with a goal have in common: a walker that stands up straight, is told what to do, and must not fall.

A task of this kind is one file: a class of settings, a `GoalTask` with its names and observables, and a
`GoalCursor` that draws goals and rewards what the walker does about them. It is known by its name once it is in
`mocapact_cli.core.tasks.registry`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.sim.observables import Moment, Previous
from mocapact_cli.core.tasks.free import FreeCursor, FreeTask
from mocapact_cli.core.tasks.tracking import Judgement, Start
from mocapact_cli.core.walker.model import FloatArray

Measures = Mapping[str, float]

ARROW_HEIGHT = 0.05
"""Metres above the floor of arrows that films show."""


@dataclass(frozen=True)
class GoalSettings:
    """Settings that all tasks with a goal have."""

    max_steps: int = 833
    """Control steps of an episode."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, bool) and not np.all(np.asarray(value) > 0):
                raise UsageError(f"{name} is {value}.", hint="Give a number above zero.")


@dataclass(frozen=True)
class Mark:
    """Where a film shows what the walker is told to do.

    Attributes:
        kind: A spot on the floor, or an arrow.
        position: (3,) the spot's centre, or where the arrow begins, metres.
        extent: (3,) of an arrow, where it points to from there, metres; of a spot its radius three times.
    """

    kind: Literal["spot", "arrow"]
    position: FloatArray
    extent: FloatArray


class GoalTask(FreeTask, ABC):
    """A task that tells the walker what to do.

    An episode begins in the first pose of a clip, fails when anything but the feet touches the floor, and ends after
    `settings.max_steps`.

    Args:
        pose: The clip in whose first pose episodes begin.
        settings: The task's own; default: those of the original.
    """

    name: ClassVar[str]
    """What the task is called on the command line."""
    summary: ClassVar[str]
    """One line for people."""
    Settings: ClassVar[type[GoalSettings]] = GoalSettings
    """The class of its settings; its defaults are the original's."""
    observables: ClassVar[tuple[str, ...]]
    """What a policy for the task sees, in order; sorted, as Gymnasium sorts the original's."""
    draws = True

    def __init__(self, pose: Clip, settings: GoalSettings | None = None) -> None:
        self.settings = settings or self.Settings()
        super().__init__([(pose, Snippet(pose.id, 0, 1))], self.settings.max_steps)

    def num_starts(self, snippet_index: int) -> int:  # noqa: ARG002
        """One: the first pose."""
        return 1

    @abstractmethod
    def summarize(self, episodes: Sequence[Measures]) -> dict[str, float | None]:
        """What came of episodes, from what the cursor has measured of each.

        Args:
            episodes: The measures of one or more.

        Returns:
            Numbers by name; None where there is nothing to take a mean of.
        """


@dataclass
class GoalCursor(FreeCursor, ABC):
    """What each environment of a shard is told and what has come of it.

    Like the features, everything has two rows an environment; the second half belongs to the episodes that begin in
    this step. A subclass makes its arrays with `table`, and gives `draw`, `update`, `rewards`,
    `own` and `measures`. Every episode draws from a stream of its own, so it does not depend on others.
    """

    task: GoalTask

    def __post_init__(self) -> None:
        super().__post_init__()
        self._tables: list[FloatArray] = []
        self.streams = [np.random.default_rng(0) for _ in range(self.capacity)]

    def table(self, *shape: int) -> FloatArray:
        """An array of zeros with a row for every episode, which is kept in step with the environments."""
        self._tables.append(np.zeros((self.capacity, *shape)))
        return self._tables[-1]

    def begin(self, row: int, start: Start) -> tuple[FloatArray, FloatArray]:
        """Put row `row` at a start; returns its qpos (63,) and qvel (62,)."""
        qpos, qvel = (values.copy() for values in super().begin(row, start))
        self.streams[row] = np.random.Generator(np.random.PCG64(start.seed))
        for table in self._tables:
            table[row] = 0
        self.draw(row, qpos)
        return qpos, qvel

    def adopt(self, env: int, row: int) -> None:
        """Make the episode in row `row` the one of environment `env`."""
        super().adopt(env, row)
        self.streams[env] = self.streams[row]
        for table in self._tables:
            table[env] = table[row]

    def judge(self, features: Features, count: int) -> Judgement:
        """Reward and endings of the first `count` rows."""
        self.update(features, count)
        judgement = super().judge(features, count)
        judgement.rewards = self.rewards(features, count)
        return judgement

    def moment(self, features: Features, count: int, previous: Previous) -> Moment:
        """What the observables of the first `count` rows are computed from."""
        moment = super().moment(features, count, previous)
        moment.own = self.own(moment, count)
        return moment

    @abstractmethod
    def draw(self, row: int, qpos: FloatArray) -> None:
        """Draw the first goal of the episode in row `row`, and change where it begins if the task does."""

    @abstractmethod
    def update(self, features: Features, count: int) -> None:
        """Give the first `count` rows new goals where these are due, before the step is rewarded and observed."""

    @abstractmethod
    def rewards(self, features: Features, count: int) -> FloatArray:
        """(count,) what the step was worth; also the place to take note of what is measured."""

    @abstractmethod
    def own(self, moment: Moment, count: int) -> Mapping[str, FloatArray]:
        """Values (count, size) of the task's own observables by name."""

    def marks(self, env: int, position: FloatArray) -> list[Mark]:  # noqa: ARG002
        """What a film shows of environment `env`'s goal while the walker's root is at `position` (3,)."""
        return []
