"""One film of several episodes side by side, each with its reference as a ghost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.media.captions import draw_caption, fitted
from mocapact_cli.core.media.clip_film import Scene, resampled
from mocapact_cli.core.media.render import TrackRenderer
from mocapact_cli.core.media.video import film_format, film_fps, frame_times, write_film
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, get_walker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mocapact_cli.core.media.camera import Camera
    from mocapact_cli.core.media.video import Frame
    from mocapact_cli.core.progress import Progress, ProgressTask

FloatArray = NDArray[np.float64]

MAX_TILES = 25
GRID_FPS = 15.0
"""Frames a second: half of a single film's, since software OpenGL draws every tile by itself."""
FAILED = (255, 120, 100, 255)
FINISHED = (150, 235, 150, 255)
BACKGROUND = 24
"""Grey between and beside tiles."""
_HOLD_SECONDS = 1.0
"""How long a film stands still at its end."""
_GAP = 4
_DIMMED = 0.5
_WIDTHS = {"mp4": 960, "gif": 640, "png": 240}
"""Pixels of a film's whole width; of a png strip, which has one tile a row, those of a tile."""
_WIDEST_TILE = 480
_ASPECT = 3 / 4


@dataclass(frozen=True)
class Tile:
    """An episode of T steps in a film of several.

    Attributes:
        title: What it shows, such as the snippet.
        qpos: (T, 63) poses of the walker. reference_qpos: (T, 63) those of the reference at the same steps.
        failed: Whether it ended early.
    """

    title: str
    qpos: FloatArray
    reference_qpos: FloatArray
    failed: bool

    @property
    def duration(self) -> float:
        """Seconds from its first pose to its end."""
        return len(self.qpos) * CONTROL_TIMESTEP


def grid_shape(count: int) -> tuple[int, int]:
    """Return rows and columns for so many tiles: as few places as possible empty, and nearly square."""
    shapes = [(math.ceil(count / columns), columns) for columns in range(math.ceil(math.sqrt(count)), count + 1)]
    # A row of more than four is too low to see anything in it.
    fitting = [(rows, columns) for rows, columns in shapes if columns <= max(4, shapes[0][1])]
    return min(fitting, key=lambda shape: (shape[0] * shape[1] - count, shape[1] - shape[0]))


def film_grid(
    tiles: Sequence[Tile],
    path: Path | str,
    *,
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> Path:
    """Film episodes side by side, all from their starts on; one that has ended stands still and is dimmed.

    A png has one row an episode, with eight moments from left to right.

    Args:
        tiles: At least one, row by row.
        path: The file to write; its ending (`.mp4`, `.gif`, `.png`) says how.
        progress: Told about every tile of every frame.

    Raises:
        UsageError: The file's ending is unknown.
        MissingDependencyError: No OpenGL works here.
    """
    kind = film_format(path)
    rows, columns = (len(tiles), 1) if kind == "png" else grid_shape(len(tiles))
    width = min(_WIDEST_TILE, _even((_WIDTHS[kind] - _GAP * (columns - 1)) / columns))
    size = (width, _even(width * _ASPECT))
    longest = max(tile.duration for tile in tiles)
    times = frame_times(longest if kind == "png" else longest + _HOLD_SECONDS, path, GRID_FPS)
    with (
        progress.task("Filming", len(times) * len(tiles), "pictures") as task,
        TrackRenderer(get_walker(), *size) as renderer,
    ):
        films = [_TileFilm(tile, renderer, times, size, task) for tile in tiles]
        frames = (_arranged([film.frame(n) for film in films], rows, columns) for n in range(len(times)))
        return write_film(path, frames, fps=film_fps(path, GRID_FPS))


def _even(pixels: float) -> int:
    """The mp4 codec wants even sizes."""
    return 2 * int(pixels / 2)


class _TileFilm:
    """Draws one tile's pictures in order, and the last one only once."""

    def __init__(
        self, tile: Tile, renderer: TrackRenderer, times: FloatArray, size: tuple[int, int], task: ProgressTask
    ) -> None:
        self._tile, self._renderer, self._times, self._task = tile, renderer, times, task
        self._letters = min(18, max(11, size[1] // 14))
        self._title = fitted(tile.title, size[0] - self._letters, self._letters)
        scene = Scene.of_episode(tile.qpos, tile.reference_qpos)
        self._poses, self._ghosts = self._resampled(tile.qpos), self._resampled(_ghost_of(scene))
        self._cameras: list[Camera] = scene.cameras(times)
        self._last: Frame | None = None

    def frame(self, number: int) -> Frame:
        """Return picture `number`; to be called with 0, 1, 2, ..."""
        self._task.advance()
        if self._last is None:
            ended = self._times[number] >= self._tile.duration - 1e-9
            picture = self._renderer.render(self._poses[number], self._cameras[number], ghost_qpos=self._ghosts[number])
            if not ended:
                return self._labelled(picture, f"{self._times[number]:.2f} s", (255, 255, 255, 255))
            self._last = self._ended(picture)
        return self._last

    def _ended(self, picture: Frame) -> Frame:
        dimmed = np.asarray(picture * _DIMMED, dtype=np.uint8)
        seconds = f"{self._tile.duration:.2f} s"
        if self._tile.failed:
            return self._labelled(dimmed, f"ended early at {seconds}", FAILED)
        return self._labelled(dimmed, f"complete, {seconds}", FINISHED)

    def _labelled(self, picture: Frame, status: str, ink: tuple[int, int, int, int]) -> Frame:
        titled = draw_caption(picture, self._title, size=self._letters)
        return draw_caption(titled, status, size=self._letters, ink=ink, below=True)

    def _resampled(self, poses: FloatArray) -> FloatArray:
        return resampled(get_walker(), poses, CONTROL_TIMESTEP, self._times)


def _ghost_of(scene: Scene) -> FloatArray:
    return scene.qpos if scene.ghost is None else scene.ghost


def _arranged(pictures: Sequence[Frame], rows: int, columns: int) -> Frame:
    """Put pictures of one size into rows; a last row that is not full stands in the middle."""
    height, width = pictures[0].shape[:2]
    whole = (rows * height + (rows - 1) * _GAP, columns * width + (columns - 1) * _GAP, 3)
    frame = np.full(whole, BACKGROUND, np.uint8)
    for row, line in enumerate(_lines(pictures, columns)):
        spare = (columns - len(line)) * (width + _GAP) // 2
        for column, picture in enumerate(line):
            top, left = row * (height + _GAP), spare + column * (width + _GAP)
            frame[top : top + height, left : left + width] = picture
    return frame


def _lines(pictures: Sequence[Frame], columns: int) -> Iterator[Sequence[Frame]]:
    for first in range(0, len(pictures), columns):
        yield pictures[first : first + columns]
