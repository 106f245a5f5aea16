"""A film of several walkers at once, each in a picture of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.media.camera import follow, heading
from mocapact_cli.core.media.captions import draw_caption
from mocapact_cli.core.media.clip_film import resampled
from mocapact_cli.core.media.render import TrackRenderer
from mocapact_cli.core.media.video import film_format, film_fps, frame_times, write_film
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, get_walker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mocapact_cli.core.media.video import Frame
    from mocapact_cli.core.progress import Progress

    FloatArray = NDArray[np.float64]

_SIZES = {"png": 160}
_SIZE = 240
"""Pixels of a tile's sides; in a strip eight of them stand side by side."""
_FPS = 15.0
"""Frames a second: half of a single film's, since software OpenGL draws every tile by itself."""
_DIMMED = 0.5
_EMPTY = 24


@dataclass(frozen=True)
class Tile:
    """One walker.

    Attributes:
        label: What it is, short.
        qpos: (T, 63) its poses.
        ending: What is said after its last pose, while others go on.
    """

    label: str
    qpos: FloatArray
    ending: str = ""


def film_walkers(
    tiles: Sequence[Tile],
    path: Path | str,
    *,
    columns: int,
    dt: float = CONTROL_TIMESTEP,
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> Path:
    """Film walkers side by side; one that has ended stands still and dark until the last one has.

    A png shows one walker a row, eight moments from left to right.

    Args:
        tiles: The walkers, row by row.
        path: The file to write; its ending says how.
        columns: Tiles in a row of a moving film.
        dt: Seconds between poses.
        progress: Told about every frame.

    Raises:
        UsageError: The file's ending is unknown.
        MissingDependencyError: No OpenGL works here.
    """
    kind = film_format(path)
    size, across = _SIZES.get(kind, _SIZE), 1 if kind == "png" else min(columns, len(tiles))
    times = frame_times((max(len(tile.qpos) for tile in tiles) - 1) * dt, path, _FPS)
    with progress.task("Filming", len(times), "frames") as task, TrackRenderer(get_walker(), size, size) as renderer:
        views = [_View(tile, renderer, times, dt) for tile in tiles]

        def frames() -> Iterator[Frame]:
            for number in range(len(times)):
                yield _arranged([view.draw(number) for view in views], across)
                task.advance()

        return write_film(path, frames(), fps=film_fps(path, _FPS))


class _View:
    """Draws one tile's pictures in order, and what is left of it at its end only once."""

    def __init__(self, tile: Tile, renderer: TrackRenderer, times: FloatArray, dt: float) -> None:
        self._tile, self._renderer, self._times = tile, renderer, times
        self._duration = (len(tile.qpos) - 1) * dt
        self._poses = resampled(get_walker(), tile.qpos, dt, times)
        # All are seen from the same side of where they face at first, so that they can be compared.
        self._cameras = follow(tile.qpos[:, :2], heading(tile.qpos[:1]), dt, times)
        self._last: Frame | None = None

    def draw(self, number: int) -> Frame:
        """Return picture `number`; to be called with 0, 1, 2, ..."""
        if self._last is None:
            frame = self._renderer.render(self._poses[number], self._cameras[number])
            if self._times[number] <= self._duration + 1e-9:
                return draw_caption(frame, f"{self._tile.label}  {self._times[number]:.1f} s")
            dimmed = np.asarray(frame * _DIMMED, dtype=np.uint8)
            self._last = draw_caption(dimmed, f"{self._tile.label}  {self._tile.ending}".rstrip())
        return self._last


def _arranged(frames: Sequence[Frame], columns: int) -> Frame:
    """Return the frames in rows of so many; what is missing in the last row is dark."""
    missing = math.ceil(len(frames) / columns) * columns - len(frames)
    padded = [*frames, *[np.full_like(frames[0], _EMPTY)] * missing]
    rows = [np.concatenate(padded[first : first + columns], axis=1) for first in range(0, len(padded), columns)]
    return np.concatenate(rows, axis=0)
