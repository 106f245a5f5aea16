"""One film of several walkers, each in a picture of its own, alone or with a reference as its ghost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.media.camera import follow, heading
from mocapact_cli.core.media.captions import GAP, INK, draw_caption, fitted
from mocapact_cli.core.media.clip_film import Scene, resampled
from mocapact_cli.core.media.render import PROMPT_COLOR, TrackRenderer
from mocapact_cli.core.media.video import HOLD_SECONDS, film_format, film_fps, frame_times, write_film
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, get_walker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mocapact_cli.core.media.camera import Camera
    from mocapact_cli.core.media.video import Frame
    from mocapact_cli.core.progress import Progress, ProgressTask

FloatArray = NDArray[np.float64]

GRID_FPS = 15.0
"""Frames a second: half of a single film's, since software OpenGL draws every tile by itself."""
FAILED = (255, 120, 100, 255)
FINISHED = (150, 235, 150, 255)
BACKGROUND = 24
"""Grey between and beside tiles."""
_GAP = 4
_DIMMED = 0.5
_ROOM = 0.8
"""Metres that a camera stands further back, so that the words above a walker do not cover its head."""
_WIDTHS = {"mp4": 960, "gif": 640}
"""Pixels of a film's whole width, as far as tiles are neither too small nor too large."""
_LIMITS = {"mp4": (236, 480), "gif": (150, 320)}
_STRIP_WIDTHS = {True: 240, False: 160}
"""Pixels of a tile of a strip: with a ghost beside the walker, and without."""
_ASPECTS = {True: 3 / 4, False: 1.0}


@dataclass(frozen=True)
class Tile:
    """A walker in a film of several.

    Attributes:
        label: What it is, short, such as the snippet.
        qpos: (T, 63) its poses.
        ending: What is said after its last pose, while others go on.
        reference_qpos: (T, 63) poses of a ghost beside it at the same steps; None for no ghost.
        failed: Whether its end is a bad one; None where it is neither good nor bad.
        prompt_steps: Steps at the beginning in which somebody else moves it: it has another colour, and time counts
            from their end.
        rewards: One a step, told beside the time; none where they are not known.
        reference_steps: Steps after which the reference stands still, and is left behind; None if it never does.
    """

    label: str
    qpos: FloatArray
    ending: str = ""
    reference_qpos: FloatArray | None = None
    failed: bool | None = None
    prompt_steps: int = 0
    reference_steps: int | None = None
    rewards: Sequence[float] = ()

    def views(self, times: FloatArray) -> tuple[list[Camera], FloatArray | None]:
        """Return a camera for each time (F,), seconds, and the (T, 63) poses of the ghost where it is drawn."""
        if self.reference_qpos is not None:
            scene = Scene.of_episode(self.qpos, self.reference_qpos, followed=self.reference_steps)
            return scene.cameras(times), scene.ghost
        # All are seen from the same side of where they face at first, so that they can be compared.
        direction = heading(self.qpos[:1])
        return follow(self.qpos[:, :2], direction, CONTROL_TIMESTEP, times, extra=_ROOM), None

    def status(self, time: float) -> str:
        """Return what is said at a time in seconds."""
        after = time - self.prompt_steps * CONTROL_TIMESTEP
        if not self.prompt_steps:
            step = round(time / CONTROL_TIMESTEP)
            reward = f"{GAP}reward {self.rewards[step]:.2f}" if step < len(self.rewards) else ""
            return f"{time:.2f} s{reward}"
        return f"prompt, {time:.2f} s" if self.is_prompted(time) else f"+{after:.2f} s"

    def is_prompted(self, time: float) -> bool:
        """Whether somebody else moves it at a time in seconds."""
        return time < self.prompt_steps * CONTROL_TIMESTEP - 1e-9


def grid_shape(count: int) -> tuple[int, int]:
    """Return rows and columns for so many tiles: as few places as possible empty, and nearly square."""
    shapes = [(math.ceil(count / columns), columns) for columns in range(math.ceil(math.sqrt(count)), count + 1)]
    # A row of more than four is too low to see anything in it.
    fitting = [(rows, columns) for rows, columns in shapes if columns <= max(4, shapes[0][1])]
    return min(fitting, key=lambda shape: (shape[0] * shape[1] - count, shape[1] - shape[0]))


def film_walkers(
    tiles: Sequence[Tile],
    path: Path | str,
    *,
    columns: int | None = None,
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> Path:
    """Film walkers side by side; one that has ended stands still and is dimmed until the last one has.

    A png shows one walker a row, eight moments from left to right.

    Args:
        tiles: The walkers, row by row; all with a ghost or none.
        path: The file to write; its ending (`.mp4`, `.gif`, `.png`) says how.
        columns: Tiles in a row of a moving film; by default as suits their number.
        progress: Told about every picture of every tile.

    Raises:
        UsageError: The file's ending is unknown.
        MissingDependencyError: No OpenGL works here.
    """
    kind = film_format(path)
    across = 1 if kind == "png" else min(columns or grid_shape(len(tiles))[1], len(tiles))
    size = _tile_size(kind, across, ghost=tiles[0].reference_qpos is not None)
    longest = max(len(tile.qpos) for tile in tiles) * CONTROL_TIMESTEP
    times = frame_times(longest, path, GRID_FPS)
    with (
        progress.task("Filming", len(times) * len(tiles), "pictures") as task,
        TrackRenderer(get_walker(), *size) as renderer,
    ):
        views = [_View(tile, renderer, times, size, task) for tile in tiles]
        frames = (_arranged([view.frame(n) for view in views], across) for n in range(len(times)))
        return write_film(path, frames, fps=film_fps(path, GRID_FPS), hold=HOLD_SECONDS)


def _tile_size(kind: str, columns: int, *, ghost: bool) -> tuple[int, int]:
    if kind == "png":
        width = _STRIP_WIDTHS[ghost]
    else:
        least, most = _LIMITS[kind]
        width = _even(min(most, max(least, (_WIDTHS[kind] - _GAP * (columns - 1)) / columns)))
    return width, _even(width * _ASPECTS[ghost])


def _even(pixels: float) -> int:
    """The mp4 codec wants even sizes."""
    return 2 * int(pixels / 2)


class _View:
    """Draws one tile's pictures in order, and the last one only once."""

    def __init__(
        self, tile: Tile, renderer: TrackRenderer, times: FloatArray, size: tuple[int, int], task: ProgressTask
    ) -> None:
        self._tile, self._renderer, self._times, self._task = tile, renderer, times, task
        self._letters = min(18, max(11, size[1] // 14))
        self._label = fitted(tile.label, size[0] - self._letters, self._letters)
        self._duration = (len(tile.qpos) - 1) * CONTROL_TIMESTEP
        self._poses = self._resampled(tile.qpos)
        self._cameras, ghost = tile.views(times)
        self._ghosts = None if ghost is None else self._resampled(ghost)
        self._last: Frame | None = None

    def frame(self, number: int) -> Frame:
        """Return picture `number`; to be called with 0, 1, 2, ..."""
        self._task.advance()
        if self._last is None:
            ghost = None if self._ghosts is None else self._ghosts[number]
            time = float(self._times[number])
            color = PROMPT_COLOR if self._tile.is_prompted(time) else None
            picture = self._renderer.render(self._poses[number], self._cameras[number], ghost_qpos=ghost, color=color)
            if time <= self._duration + 1e-9:
                return self._labelled(picture, self._tile.status(time), INK)
            dimmed = np.asarray(picture * _DIMMED, dtype=np.uint8)
            ink = INK if self._tile.failed is None else FAILED if self._tile.failed else FINISHED
            self._last = self._labelled(dimmed, self._tile.ending, ink)
        return self._last

    def _labelled(self, picture: Frame, status: str, ink: tuple[int, int, int, int]) -> Frame:
        titled = draw_caption(picture, self._label, size=self._letters)
        return draw_caption(titled, status, size=self._letters, ink=ink, below=True)

    def _resampled(self, poses: FloatArray) -> FloatArray:
        return resampled(get_walker(), poses, CONTROL_TIMESTEP, self._times)


def _arranged(pictures: Sequence[Frame], columns: int) -> Frame:
    """Put pictures of one size into rows; a last row that is not full stands in the middle."""
    height, width = pictures[0].shape[:2]
    lines = list(_lines(pictures, columns))
    whole = (len(lines) * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3)
    frame = np.full(whole, BACKGROUND, np.uint8)
    for row, line in enumerate(lines):
        spare = (columns - len(line)) * (width + _GAP) // 2
        for column, picture in enumerate(line):
            top, left = row * (height + _GAP), spare + column * (width + _GAP)
            frame[top : top + height, left : left + width] = picture
    return frame


def _lines(pictures: Sequence[Frame], columns: int) -> Iterator[Sequence[Frame]]:
    for first in range(0, len(pictures), columns):
        yield pictures[first : first + columns]
