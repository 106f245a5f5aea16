"""Motion completion: a snippet is tracked for as long as a prompt lasts, then the walker is to go on beyond its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.sim.observables import Moment, Previous
from mocapact_cli.core.tasks.tracking import Judgement, TrackingConfig, TrackingCursor, TrackingTask
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, IntArray, Walker

ARENA = (100.0, 100.0)
"""Half extents of the floor, metres: whoever goes on walking must not come to its edge."""


class CompletionTask(TrackingTask):
    """Beginning as a snippet does and going on beyond its end.

    As in the original, an episode fails when anything but the feet touches the floor while the error is above the
    threshold; either alone is no failure. At the snippet's end the reference stands still in its last pose, and so does
    the time in the clip; the error is measured from there. Only steps up to the snippet's end are rewarded. An episode
    ends `max_steps` after it.

    Args:
        snippets: (clip, snippet) pairs.
        config: The settings; `min_steps` is given by the prompt.
        prompt_length: Control steps of the prompt, all of them inside the snippet.
        max_steps: Control steps beyond the snippet's end.
        holds_reference: Show the reference, and the time, of the prompt's end from there on, to those who would
            otherwise be told how the motion goes on; errors are measured as ever.

    Raises:
        InvalidInputError: A snippet lies outside its clip.
        UsageError: A prompt is longer than a snippet, or lengths are not positive.
    """

    watches_falls = True

    def __init__(
        self,
        snippets: Sequence[tuple[Clip, Snippet]],
        config: TrackingConfig,
        *,
        prompt_length: int,
        max_steps: int,
        holds_reference: bool = False,
    ) -> None:
        if min(prompt_length, max_steps) < 1:
            raise UsageError("A prompt and what follows it have at least one step each.")
        self.prompt_length, self.max_steps, self.holds_reference = prompt_length, max_steps, holds_reference
        super().__init__(snippets, replace(config, min_steps=prompt_length))

    def cursor(self, walker: Walker, capacity: int) -> TrackingCursor:
        """What follows the episodes of a shard with so many rows."""
        return CompletionCursor(self, walker, capacity)

    @property
    def longest(self) -> int:
        """Most control steps that an episode can have."""
        return int(self.last_step.max()) + self.max_steps

    @property
    def _looks_ahead(self) -> int:
        """Nothing: where a reference ends, it stands still."""
        return 0

    def _require_room(self) -> None:
        for index, snippet in enumerate(self.snippets):
            if self.last_step[index] < self.prompt_length:
                raise UsageError(
                    f"A prompt of {self.prompt_length} steps is longer than {snippet}, which has "
                    f"{self.last_step[index]}.",
                    hint=f"Give --prompt-length {self.last_step[index]} or less, or a longer snippet.",
                )


@dataclass
class CompletionCursor(TrackingCursor):
    """Where each environment of a shard is in its snippet, or beyond its end."""

    task: CompletionTask
    _last_row: IntArray = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._last_row = self.task.bank.first_row + self.task.last_step

    def judge(self, features: Features, count: int) -> Judgement:
        """Reward inside the snippet, falls and endings of the first `count` rows."""
        judgement = super().judge(features, count)
        last = self.task.last_step[self.snippet[:count]]
        beyond = self.step[:count] > last
        # What is no number stays one, since it tells that the simulation has diverged.
        for values in (judgement.rewards, *judgement.channels.values()):
            values[beyond & np.isfinite(values)] = 0.0
        judgement.failed &= features.fallen[:count]
        judgement.ended = self.step[:count] >= last + self.task.max_steps
        return judgement

    def moment(self, features: Features, count: int, previous: Previous) -> Moment:
        """What the observables of the first `count` rows are computed from."""
        moment = super().moment(features, count, previous)
        snippet, last = self.snippet[:count], self._last_shown(count)
        shown = last * CONTROL_TIMESTEP / self.task.bank.duration[snippet]
        moment.time_in_clip = np.minimum(moment.time_in_clip, shown)
        assert moment.targets is not None
        moment.targets = np.minimum(moment.targets, (self.task.bank.first_row[snippet] + last)[:, None])
        return moment

    def _last_shown(self, count: int) -> IntArray:
        """Steps of the snippet that the reference is shown up to."""
        last = self.task.last_step[self.snippet[:count]]
        if not self.task.holds_reference:
            return last
        return np.minimum(last, self.start[:count] + self.task.prompt_length)

    def rows(self, count: int, ahead: IntArray | int = 0) -> IntArray:
        """Rows of the reference bank, as those of the base, but never beyond the snippet's last one."""
        last = self._last_row[self.snippet[:count]]
        return np.minimum(super().rows(count, ahead), last if isinstance(ahead, int) else last[:, None])
