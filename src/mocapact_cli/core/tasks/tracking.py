"""Tracking a reference motion: dm_control's `MultiClipMocapTracking` over a batch of environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import InvalidInputError, UsageError, check_known
from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.sim.observables import Moment, Previous
from mocapact_cli.core.sim.references import ReferenceBank, RollingBank, snippet_reference
from mocapact_cli.core.sim.rewards import REWARDS, Channels, TrackingState
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, FloatArray, IntArray, Walker

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class TrackingConfig:
    """The task's settings."""

    ref_steps: tuple[int, ...] = (0,)
    """Steps ahead of now at which reference observables look; the largest one shortens the snippet."""
    min_steps: int = 10
    """An episode starts early enough to last at least one step less than this (the original's meaning)."""
    termination_error_threshold: float = 0.3
    """Error at which an episode fails."""
    reward_type: str = "comic"
    """One of dm_control's reward types."""
    always_init_at_clip_start: bool = False
    """Start every episode at the snippet's first step instead of at a random one."""
    act_noise: float = 0.0
    """Standard deviation of Gaussian noise that is added to every action."""

    def __post_init__(self) -> None:
        check_known(self.reward_type, REWARDS, "reward type")
        if not self.ref_steps or min(self.ref_steps) < 0:
            raise UsageError("Reference steps must be one or more whole numbers from 0 on.")
        object.__setattr__(self, "ref_steps", tuple(sorted(self.ref_steps)))


@dataclass(frozen=True)
class Start:
    """Where an episode begins."""

    snippet_index: int
    start_step: int
    """Step in the clip, not in the snippet."""
    seed: int = 0
    """Of what the episode itself draws, in tasks that draw something."""


@dataclass
class Judgement:
    """What the last control step was worth in n environments.

    Attributes:
        rewards: (n,).
        channels: The reward's parts by name, (n,) each.
        failed: (n,) whether the episode ends early; in tracking, because the error passed the threshold.
        ended: (n,) whether it has run to its end; in tracking, because the snippet's last step was reached.
    """

    rewards: FloatArray
    channels: Channels
    failed: BoolArray
    ended: BoolArray


class TrackingTask:
    """Tracking one or more snippets.

    Args:
        snippets: (clip, snippet) pairs.
        config: The settings.
        weights: Relative probability of each snippet's start steps under random starts.

    Raises:
        InvalidInputError: If a snippet lies outside its clip or is too short for `min_steps` and `ref_steps`.
    """

    channels: tuple[str, ...] = ("appendages", "body_quaternions", "center_of_mass", "joints_velocity", "termination")
    watches_falls = False
    """Whether the cursor needs to know who has fallen."""
    watches_torso = False
    """Whether the cursor needs the velocity of the root's subtree."""
    draws = False
    """Whether an episode draws more than its start, so that every start needs a seed of its own."""
    own_observables: Mapping[str, int] = MappingProxyType({})
    """Sizes of the observables that only this task has, by name."""

    def __init__(
        self,
        snippets: Sequence[tuple[Clip, Snippet]],
        config: TrackingConfig,
        weights: Sequence[float] | None = None,
    ) -> None:
        self._prepare([snippet for _, snippet in snippets], _checked_bank(snippets), config)
        if weights is not None:
            self.weights = np.asarray(weights)

    def cursor(self, walker: Walker, capacity: int) -> TrackingCursor:
        """What follows the episodes of a shard with so many rows."""
        return TrackingCursor(self, walker, capacity)

    def num_starts(self, snippet_index: int) -> int:
        """How many different steps an episode of this snippet may start at."""
        if self.config.always_init_at_clip_start:
            return 1
        return int(self.last_step[snippet_index]) - (self.config.min_steps - 1)

    def possible_starts(self) -> tuple[list[Start], FloatArray]:
        """All starts and their probabilities, which sum to one."""
        starts, weights = [], []
        for index, snippet in enumerate(self.snippets):
            count = self.num_starts(index)
            starts += [Start(index, snippet.start_step + offset) for offset in range(count)]
            weights += [self.weights[index]] * count
        probabilities = np.array(weights)
        return starts, probabilities / probabilities.sum()

    def steps_left(self, start: Start) -> int:
        """Control steps from `start` to the snippet's last step."""
        return int(self.last_step[start.snippet_index] - (start.start_step - self.bank.start_step[start.snippet_index]))

    @property
    def longest(self) -> int:
        """Most control steps that an episode can have."""
        return int(self.last_step.max())

    def _prepare(self, snippets: list[Snippet], bank: ReferenceBank, config: TrackingConfig) -> None:
        self.config, self.snippets, self.bank = config, snippets, bank
        self.weights = np.ones(len(snippets))
        self.last_step: IntArray = bank.num_steps - self._looks_ahead - 1
        self._require_room()

    @property
    def _looks_ahead(self) -> int:
        """Steps that a snippet is shortened by, so that there is always something to look at."""
        return max(self.config.ref_steps)

    def _require_room(self) -> None:
        for index, snippet in enumerate(self.snippets):
            if self.num_starts(index) < 1 or self.last_step[index] < 1:
                raise InvalidInputError(
                    f"{snippet} is too short: {self.bank.num_steps[index]} poses for --min-steps "
                    f"{self.config.min_steps} and reference steps up to {max(self.config.ref_steps)}.",
                    hint="Lower --min-steps or choose a longer snippet.",
                )


class RollingTask(TrackingTask):
    """Tracking many snippets in turn: the references of those alone are in memory that `open` has taken in.

    Args:
        snippets: All snippets that will be tracked.
        config: The settings.

    Raises:
        InvalidInputError: If a snippet is too short for `min_steps` and `ref_steps`.
    """

    def __init__(self, snippets: Sequence[Snippet], config: TrackingConfig) -> None:
        if not snippets:
            raise _no_snippet()
        self.rolling = RollingBank(snippets)
        self._prepare(list(snippets), self.rolling, config)

    def reference(self, index: int, clip: Clip) -> ReferenceBank:
        """Prepare snippet `index` of `clip` for `open`; other threads may do this meanwhile.

        Raises:
            InvalidInputError: If the snippet lies outside the clip.
        """
        check_clip(self.snippets[index], clip.num_steps, clip.dt)
        return snippet_reference(clip, self.snippets[index])

    def open(self, index: int, reference: ReferenceBank) -> None:
        """Take in the reference of snippet `index`, before its first episode begins."""
        self.rolling.open(index, reference)

    def close(self, index: int) -> None:
        """Forget the reference of snippet `index`, after its last episode."""
        self.rolling.close(index)


def check_clip(snippet: Snippet, num_steps: int, dt: float = CONTROL_TIMESTEP) -> None:
    """See that a clip of `num_steps` poses, `dt` seconds apart, holds the snippet and suits the walker.

    Raises:
        InvalidInputError: If it does not.
    """
    if not 0 <= snippet.start_step < snippet.end_step <= num_steps - 1:
        raise InvalidInputError(
            f"Snippet {snippet} lies outside its clip, which has steps 0 to {num_steps - 1}.",
            hint=f"Run `mocapact clips snippets {snippet.clip_id}` to see its snippets.",
        )
    if abs(dt - CONTROL_TIMESTEP) > 1e-9:
        raise InvalidInputError(f"Clip {snippet.clip_id} has {dt:g} s a step; the walker needs {CONTROL_TIMESTEP} s.")


def _checked_bank(snippets: Sequence[tuple[Clip, Snippet]]) -> ReferenceBank:
    if not snippets:
        raise _no_snippet()
    for clip, snippet in snippets:
        check_clip(snippet, clip.num_steps, clip.dt)
    return ReferenceBank(snippets)


def _no_snippet() -> UsageError:
    return UsageError("No snippet was given.", hint="Name at least one clip or snippet.")


@dataclass
class TrackingCursor:
    """Where each environment of a shard is in its snippet.

    Like the features, it has two rows an environment; the second half belongs to the episodes that begin in this step.
    """

    task: TrackingTask
    walker: Walker
    capacity: int
    snippet: IntArray = field(init=False)
    step: IntArray = field(init=False)
    start: IntArray = field(init=False)

    def __post_init__(self) -> None:
        self.snippet, self.step, self.start = (np.zeros(self.capacity, dtype=np.intp) for _ in range(3))
        self._ref_steps = np.array(self.task.config.ref_steps)

    def begin(self, row: int, start: Start) -> tuple[FloatArray, FloatArray]:
        """Put row `row` at a start; returns its qpos (63,) and qvel (62,)."""
        bank = self.task.bank
        self.snippet[row] = start.snippet_index
        self.step[row] = self.start[row] = start.start_step - bank.start_step[start.snippet_index]
        return bank.start(bank.first_row[start.snippet_index] + self.step[row])

    def adopt(self, env: int, row: int) -> None:
        """Make the episode in row `row` the one of environment `env`."""
        for table in (self.snippet, self.step, self.start):
            table[env] = table[row]

    def judge(self, features: Features, count: int) -> Judgement:
        """Reward and endings of the first `count` rows."""
        task, config = self.task, self.task.config
        state = TrackingState.compare(features, task.bank, self.rows(count), config.termination_error_threshold)
        channels = REWARDS[config.reward_type](state)
        # A non-finite error compares as false with everything, and must count as a failure.
        failed = ~(state.error <= config.termination_error_threshold)
        ended = self.step[:count] >= task.last_step[self.snippet[:count]]
        return Judgement(sum(channels.values(), np.zeros(count)), channels, failed, ended)

    def measures(self, env: int) -> dict[str, float]:  # noqa: ARG002
        """What the task itself measures of the episode that has just ended in environment `env`."""
        return {}

    def moment(self, features: Features, count: int, previous: Previous) -> Moment:
        """What the observables of the first `count` rows are computed from."""
        bank, rows = self.task.bank, slice(0, count)
        elapsed = self.start[rows] * CONTROL_TIMESTEP + features.time[rows]
        return Moment(
            walker=self.walker,
            features=features,
            rows=rows,
            previous=previous,
            time_in_clip=elapsed / bank.duration[self.snippet[rows]],
            bank=bank,
            targets=self.rows(count, self._ref_steps),
        )

    def rows(self, count: int, ahead: IntArray | int = 0) -> IntArray:
        """Rows of the reference bank for the first `count` rows, `ahead` steps from now.

        Args:
            ahead: A number, or (K,) numbers for an answer of shape (count, K).
        """
        now = self.task.bank.first_row[self.snippet[:count]] + self.step[:count]
        last = self.task.bank.last_row[self.snippet[:count]]
        # Past a clip's end lie only environments without an episode and controllers that look far ahead.
        if isinstance(ahead, np.ndarray):
            return np.asarray(np.minimum(now[:, None] + ahead, last[:, None]))
        return np.asarray(np.minimum(now + ahead, last))
