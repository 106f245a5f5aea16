"""Motions as they are shown: poses frame by frame, with the curves that go with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.walker.model import CONTROL_TIMESTEP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mocapact_cli.core.tasks.goal import Mark
    from mocapact_cli.core.viewer.curves import Chart

FloatArray = NDArray[np.float64]


@dataclass
class Take:
    """A motion of F frames that is shown; a live one grows.

    Attributes:
        title: What is seen, such as a snippet.
        capacity: Frames that there are at most.
        poses: F poses (63,) of the walker.
        ghosts: F poses (63,) of its reference; None where that is not known.
        curves: F values a curve; NaN where one is not known.
        charts: Which curves are drawn together.
        marks: What the walker is told to do, in F frames; empty where it tracks.
        first_step: Control step of the clip that the first frame is; None where there is no clip.
        dt: Seconds between frames.
        prompt: Frames during which somebody else acts, whom the policy goes on from; 0 for none.
        outcome: How it ended; empty while it goes on, and where there is nothing to say.
    """

    title: str
    capacity: int
    poses: list[FloatArray] = field(default_factory=list)
    ghosts: list[FloatArray | None] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=dict)
    charts: tuple[Chart, ...] = ()
    marks: list[Sequence[Mark]] = field(default_factory=list)
    first_step: int | None = None
    dt: float = CONTROL_TIMESTEP
    prompt: int = 0
    outcome: str = ""

    @property
    def frames(self) -> int:
        """Frames F that there are by now."""
        return len(self.poses)

    @property
    def grows(self) -> bool:
        """Whether there may be further frames."""
        return False

    def curve(self, name: str) -> FloatArray:
        """Return (capacity,) values of a curve, NaN where it is not known or not yet."""
        values = np.full(self.capacity, np.nan)
        known = self.curves.get(name, ())
        values[: len(known)] = known
        return values

    def now(self, frame: int) -> Mapping[str, float]:
        """Return the values of the curves that are known at a frame."""
        there = {name: values[frame] for name, values in self.curves.items() if frame < len(values)}
        return {name: value for name, value in there.items() if np.isfinite(value)}

    def extend(self) -> bool:
        """Make the next frame; False where there is none."""
        return False

    def push(self, velocity: FloatArray) -> None:
        """Shove the walker after its last frame; nothing happens where no further frames are made.

        Args:
            velocity: (3,) what is added to the velocity of all its parts, m/s.
        """

    def close(self) -> None:
        """Let go of what makes further frames."""
