"""Where in a take one is, and how time moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mocapact_cli.core.media.clip_film import resampled

if TYPE_CHECKING:
    from mocapact_cli.core.viewer.takes import FloatArray, Take
    from mocapact_cli.core.walker.model import Walker

_Pose = TypeVar("_Pose")

END_PAUSE_S = 0.6
"""Seconds of its own time that the last pose of a take stands before it begins again."""
MOST_NEW = 4
"""Frames of a live take that are made between two pictures at most: a slow policy slows time down, nothing else."""
FOLLOW_FRAMES = 16
"""Frames on either side over which the followed place is averaged, so that steps do not shake the view."""


class Player:
    """Plays one take.

    Args:
        walker: The body.
        take: What is played first.

    Attributes:
        take: What is played.
        position: Where it is: frames from the first one, with a fraction between two.
        playing: Whether time moves it.
        speed: Seconds of the take a second.
        loop: Whether it begins again after its end.
    """

    def __init__(self, walker: Walker, take: Take) -> None:
        self._walker = walker
        self.speed, self.loop = 1.0, True
        self.load(take)

    def load(self, take: Take) -> None:
        """Play another take from its beginning."""
        self.take, self.position, self.playing, self._rest = take, 0.0, True, 0.0

    @property
    def frame(self) -> int:
        """The last frame that has been reached."""
        return int(self.position)

    def seek(self, frame: int) -> None:
        """Go to a frame, as far as there are any."""
        self.position, self._rest = float(np.clip(frame, 0, self.take.frames - 1)), 0.0

    def step(self, frames: int) -> None:
        """Pause and go on, or back, by whole frames; what is not there yet is made."""
        self.playing = False
        self._make(self.frame + frames, frames)
        self.seek(self.frame + frames)

    def play(self) -> None:
        """Let time move it, from the beginning if it is at its end."""
        if self.position >= self.take.frames - 1 and not self.take.grows:
            self.seek(0)
        self.playing = True

    def advance(self, seconds: float) -> None:
        """Let time pass: live takes are made as far as they are needed."""
        if not self.playing:
            return
        wanted = self.position + seconds * self.speed / self.take.dt
        self._make(wanted, MOST_NEW)
        before, self.position = self.position, min(wanted, self.take.frames - 1.0)
        if self.position == wanted or self.take.grows:
            return
        # The time before the last pose was reached is no time that it stood.
        self._rest = self._rest + seconds if self.position == before else 0.0
        if not self.loop:
            self.playing = False
        elif self._rest >= END_PAUSE_S:
            self.seek(0)

    def shown(self) -> tuple[FloatArray, FloatArray | None]:
        """Return the poses (63,) of the walker and of its reference, between two frames where time is."""
        ghosts = self._around(self.take.ghosts)
        walker = self._blend(*self._around(self.take.poses))
        if ghosts[0] is None:
            return walker, None
        return walker, self._blend(ghosts[0], ghosts[1] if ghosts[1] is not None else ghosts[0])

    def ground(self) -> FloatArray:
        """Return (2,) the place on the floor that a view which follows looks at, metres."""
        before = self._middle(self.frame)
        after = self._middle(min(self.frame + 1, self.take.frames - 1))
        place: FloatArray = before + (self.position - self.frame) * (after - before)
        return place

    def _make(self, position: float, most: int) -> None:
        """Make so many frames at most to come to a position."""
        for _ in range(most):
            if self.take.frames - 1 >= position or not self.take.extend():
                return

    def _around(self, poses: list[_Pose]) -> tuple[_Pose, _Pose]:
        return poses[self.frame], poses[min(self.frame + 1, self.take.frames - 1)]

    def _blend(self, before: FloatArray, after: FloatArray) -> FloatArray:
        if self.position == self.frame:
            return before
        time = np.array([self.position - self.frame])
        return np.asarray(resampled(self._walker, np.stack([before, after]), 1.0, time)[0])

    def _middle(self, frame: int) -> FloatArray:
        near = self.take.poses[max(frame - FOLLOW_FRAMES, 0) : frame + FOLLOW_FRAMES + 1]
        return np.asarray(np.mean([pose[:2] for pose in near], axis=0))
