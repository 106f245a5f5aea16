"""Films of motions: a reference clip by itself, or an episode with the reference as a ghost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.media.camera import Camera, beside, follow, heading
from mocapact_cli.core.media.captions import GAP, draw_caption
from mocapact_cli.core.media.render import TrackRenderer
from mocapact_cli.core.media.video import HOLD_SECONDS, film_format, film_fps, frame_times, write_film
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, Walker, get_walker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.media.video import Frame
    from mocapact_cli.core.progress import Progress, ProgressTask
    from mocapact_cli.core.tasks.goal import Mark

FloatArray = NDArray[np.float64]

STRIP_WIDTH = 240
"""Pixels of one frame of a png strip, at most."""
GIF_WIDTH = 320
"""Pixels of a gif, at most."""
_CAPTION_ROOM = 0.5
"""Metres that a camera stands further back from a walker alone, so that the words do not cover its head."""
_GOAL_ROOM = 1.5
"""Metres that a camera stands further back to see something of where the walker is to go."""


def film_clip(
    clip: Clip,
    path: Path | str,
    *,
    width: int = 480,
    height: int = 360,
    fps: float = 30,
    start: int = 0,
    end: int | None = None,
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> Path:
    """Film a reference clip.

    Args:
        clip: The motion.
        path: The file to write; its ending (`.mp4`, `.gif`, `.png`) says how.
        width: Pixels; a gif is at most 320 wide, each frame of a png strip at most 240.
        height: Pixels.
        fps: Frames a second; a gif has at most 15.
        start: First step to show.
        end: Last step to show, the clip's last by default.
        progress: Told about every frame.

    Raises:
        UsageError: The file's ending is unknown.
        MissingDependencyError: No OpenGL works here.
    """
    qpos = clip.qpos()[start : None if end is None else end + 1]
    captions = [f"{clip.id}{GAP}step {start + step}{GAP}{step * clip.dt:.2f} s" for step in range(len(qpos))]
    scene = Scene(qpos, None, captions, heading(qpos), clip.dt, extra=_CAPTION_ROOM)
    return _film(scene, path, (width, height), fps, progress)


def film_episode(
    qpos: FloatArray,
    reference_qpos: FloatArray,
    path: Path | str,
    *,
    captions: Sequence[str] | None = None,
    ghost_offset: Sequence[float] | None = None,
    dt: float = CONTROL_TIMESTEP,
    width: int = 640,
    height: int = 480,
    fps: float = 30,
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> Path:
    """Film an episode with its reference as a translucent ghost.

    Args:
        qpos: (T, 63) poses of the walker.
        reference_qpos: (T, 63) poses of the reference at the same steps.
        path: The file to write; its ending (`.mp4`, `.gif`, `.png`) says how.
        captions: T texts, one a step, such as the snippet, the time and the reward.
        ghost_offset: (3,) metres from the reference to where the ghost is drawn; beside the walker by default,
            `(0, 0, 0)` overlays the two.
        dt: Seconds a step.
        width: Pixels; a gif is at most 320 wide, each frame of a png strip at most 240.
        height: Pixels.
        fps: Frames a second; a gif has at most 15.
        progress: Told about every frame.

    Raises:
        UsageError: The file's ending is unknown.
        MissingDependencyError: No OpenGL works here.
    """
    scene = Scene.of_episode(qpos, reference_qpos, captions or (), ghost_offset, dt)
    return _film(scene, path, (width, height), fps, progress)


def film_goal(
    qpos: FloatArray,
    marks: Sequence[Sequence[Mark]],
    path: Path | str,
    *,
    captions: Sequence[str] = (),
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> Path:
    """Film an episode with what the walker is told to do.

    Args:
        qpos: (T, 63) poses of the walker.
        marks: T lists of what is shown of the goal, one a step.
        path: The file to write; its ending (`.mp4`, `.gif`, `.png`) says how.
        captions: T texts, one a step.
        progress: Told about every frame.

    Raises:
        UsageError: The file's ending is unknown.
        MissingDependencyError: No OpenGL works here.
    """
    scene = Scene(qpos, None, captions, heading(qpos[:1]), CONTROL_TIMESTEP, marks, extra=_GOAL_ROOM)
    return _film(scene, path, (640, 480), 30, progress)


@dataclass(frozen=True)
class Scene:
    """A motion as it is filmed.

    Attributes:
        qpos: (T, 63) poses of the walker.
        ghost: (T, 63) poses of the ghost; None where it is not drawn.
        captions: Texts, one a step.
        direction: Where it goes, radians about z.
        dt: Seconds a step.
        marks: What is shown of a goal, one list a step.
        extra: Metres that the camera stands further back.
        followed: Steps for which the camera keeps the ghost in the picture; None for all.
    """

    qpos: FloatArray
    ghost: FloatArray | None
    captions: Sequence[str]
    direction: float
    dt: float
    marks: Sequence[Sequence[Mark]] = ()
    extra: float = 0.0
    followed: int | None = None

    @classmethod
    def of_episode(
        cls,
        qpos: FloatArray,
        reference_qpos: FloatArray,
        captions: Sequence[str] = (),
        ghost_offset: Sequence[float] | None = None,
        dt: float = CONTROL_TIMESTEP,
        *,
        followed: int | None = None,
    ) -> Scene:
        """Return the scene of an episode with its reference as a ghost, beside the walker unless said otherwise."""
        direction = heading(reference_qpos)
        ghost = np.array(reference_qpos, dtype=np.float64)
        ghost[:, :3] += beside(direction) if ghost_offset is None else np.asarray(ghost_offset)
        return cls(qpos, ghost, captions, direction, dt, followed=followed)

    def cameras(self, times: FloatArray) -> list[Camera]:
        """Return a camera for each time (F,), seconds."""
        body = self.qpos[:, :2]
        ghost = body if self.ghost is None else self.ghost[:, :2]
        apart = float(np.linalg.norm(ghost[0] - body[0]))
        # Where the ghost stands still, the camera goes on as if it were still beside the walker.
        last = len(body) - 1 if self.followed is None else min(self.followed, len(body) - 1)
        steps = np.minimum(np.arange(len(body)), last)
        return follow(body + (ghost - body)[steps] / 2, self.direction, self.dt, times, extra=self.extra + apart / 2)

    def caption(self, time: float) -> str:
        """Return the text of the step nearest a time in seconds."""
        step = round(time / self.dt)
        return self.captions[step] if step < len(self.captions) else ""

    def marks_at(self, time: float) -> Sequence[Mark]:
        """Return what is shown of the goal at the step nearest a time in seconds."""
        step = round(time / self.dt)
        return self.marks[step] if step < len(self.marks) else ()


def _film(scene: Scene, path: Path | str, size: tuple[int, int], fps: float, progress: Progress) -> Path:
    times = frame_times((len(scene.qpos) - 1) * scene.dt, path, fps)
    with progress.task("Filming", len(times), "frames") as task:
        frames = _frames(scene, times, _frame_size(path, *size), task)
        return write_film(path, frames, fps=film_fps(path, fps), hold=HOLD_SECONDS)


def _frames(scene: Scene, times: FloatArray, size: tuple[int, int], task: ProgressTask) -> Iterator[Frame]:
    walker = get_walker()
    poses = resampled(walker, scene.qpos, scene.dt, times)
    ghosts = [None] * len(times) if scene.ghost is None else resampled(walker, scene.ghost, scene.dt, times)
    with TrackRenderer(walker, *size) as renderer:
        for time, pose, ghost, camera in zip(times, poses, ghosts, scene.cameras(times), strict=True):
            picture = renderer.render(pose, camera, ghost_qpos=ghost, marks=scene.marks_at(time))
            yield draw_caption(picture, scene.caption(time))
            task.advance()


def resampled(walker: Walker, qpos: FloatArray, dt: float, times: FloatArray) -> FloatArray:
    """Return (F, 63) poses at the given times, along the shortest way between the poses on either side.

    Args:
        walker: The model, which knows that orientations turn rather than add.
        qpos: (T, 63) poses, `dt` seconds apart.
        dt: Seconds between poses.
        times: (F,) seconds from the first pose; beyond the last pose, the last pose.
    """
    position = np.minimum(times / dt, len(qpos) - 1.0)
    before = np.minimum(position.astype(np.intp), max(len(qpos) - 2, 0))
    result, step = np.array(qpos[before], dtype=np.float64), np.empty(walker.model.nv)
    for pose, index, fraction in zip(result, before, position - before, strict=True):
        if fraction > 0:
            mujoco.mj_differentiatePos(walker.model, step, 1.0, qpos[index], qpos[index + 1])
            mujoco.mj_integratePos(walker.model, pose, step, fraction)
    return result


def _frame_size(path: Path | str, width: int, height: int) -> tuple[int, int]:
    """Return a size that suits the kind of film: small for gifs and strips, even for the mp4 codec."""
    widest = {"mp4": width, "gif": GIF_WIDTH, "png": STRIP_WIDTH}[film_format(path)]
    scale = min(1.0, widest / width)
    return 2 * round(width * scale / 2), 2 * round(height * scale / 2)
