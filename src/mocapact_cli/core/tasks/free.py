"""Nothing to track: an episode begins in a pose of a snippet and lasts until the walker falls or its time is over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.tasks.tracking import Judgement, TrackingConfig, TrackingCursor, TrackingTask
from mocapact_cli.core.walker.model import Walker


class FreeTask(TrackingTask):
    """Moving freely from poses of one or more snippets.

    An episode fails when anything but the feet touches the floor, as in dm_control's locomotion tasks, and ends after
    `max_steps`. There are no rewards. Reference observables, if one asks for them, stay at the clip's last pose once
    that has passed.

    Args:
        snippets: (clip, snippet) pairs; every pose of a snippet is a start.
        max_steps: Control steps of an episode.

    Raises:
        InvalidInputError: If a snippet lies outside its clip.
        UsageError: If `max_steps` is below one.
    """

    channels = ()
    watches_falls = True

    def __init__(self, snippets: Sequence[tuple[Clip, Snippet]], max_steps: int) -> None:
        if max_steps < 1:
            raise UsageError(f"An episode of {max_steps} steps is none.", hint="Give at least 1.")
        super().__init__(snippets, TrackingConfig(min_steps=1, termination_error_threshold=math.inf))
        self.max_steps = max_steps

    def cursor(self, walker: Walker, capacity: int) -> TrackingCursor:
        """What follows the episodes of a shard with so many rows."""
        return FreeCursor(self, walker, capacity)

    def steps_left(self, start: object) -> int:  # noqa: ARG002
        """Control steps of an episode, the same from every start."""
        return self.max_steps

    @property
    def longest(self) -> int:
        """Most control steps that an episode can have."""
        return self.max_steps

    def num_starts(self, snippet_index: int) -> int:
        """How many different steps an episode of this snippet may start at."""
        return 1 if self.config.always_init_at_clip_start else int(self.bank.num_steps[snippet_index])


@dataclass
class FreeCursor(TrackingCursor):
    """How long each environment of a shard has been moving."""

    task: FreeTask

    def judge(self, features: Features, count: int) -> Judgement:
        """Falls and endings of the first `count` rows."""
        ended = self.step[:count] - self.start[:count] >= self.task.max_steps
        return Judgement(np.zeros(count), {}, features.fallen[:count].copy(), ended)
