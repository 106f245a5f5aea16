"""From frames to a file: an mp4, a small gif or a png strip of frames side by side, chosen by the file's ending."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.paths import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Frame = NDArray[np.uint8]
"""(height, width, 3) RGB."""

FORMATS = ("mp4", "gif", "png")
GIF_FPS = 15.0
GIF_COLORS = 64
STRIP_FRAMES = 8


def film_format(path: Path | str) -> str:
    """Return `mp4`, `gif` or `png` for a path.

    Raises:
        UsageError: The file's ending is none of these.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise UsageError(f"{path} is not a kind of film.", hint="Give a name that ends in .mp4, .gif or .png.")
    return ending


def frame_times(duration: float, path: Path | str, fps: float) -> NDArray[np.float64]:
    """Return the times, in seconds from 0 to `duration`, of the frames that a film of this kind needs.

    An mp4 has `fps` frames a second, a gif at most 15, a png strip eight in all.
    """
    kind = film_format(path)
    if kind == "png":
        return np.linspace(0.0, duration, STRIP_FRAMES)
    return np.arange(0.0, duration + 1e-9, 1.0 / film_fps(path, fps))


def film_fps(path: Path | str, fps: float) -> float:
    """Return the frames a second that a file of this kind is written with when `fps` are asked for."""
    return min(fps, GIF_FPS) if film_format(path) == "gif" else fps


def write_film(path: Path | str, frames: Iterable[Frame], *, fps: float) -> Path:
    """Write frames to `path`, atomically and one at a time; return the path.

    Args:
        path: A name that ends in `.mp4` (H.264, plays everywhere), `.gif` or `.png`.
        frames: RGB frames of one size, at least one; for an mp4 width and height must be even.
        fps: Frames a second (a png strip ignores it).

    Raises:
        UsageError: The file's ending is unknown.
    """
    path = Path(path)
    write = {"mp4": _write_mp4, "gif": _write_gif, "png": _write_strip}[film_format(path)]
    with atomic_write(path, suffix=path.suffix) as temporary:
        write(temporary, iter(frames), fps)
    return path


def _write_mp4(path: Path, frames: Iterator[Frame], fps: float) -> None:
    import imageio_ffmpeg

    first = next(frames)
    height, width = first.shape[:2]
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (width, height),
        fps=fps,
        codec="libx264",
        pix_fmt_out="yuv420p",
        quality=None,
        macro_block_size=2,
        output_params=["-crf", "20", "-preset", "veryfast", "-movflags", "+faststart", "-threads", "2"],
    )
    writer.send(None)
    try:
        for frame in _chained(first, frames):
            writer.send(np.ascontiguousarray(frame))
    finally:
        writer.close()


def _write_gif(path: Path, frames: Iterator[Frame], fps: float) -> None:
    from PIL import Image

    first, *rest = (Image.fromarray(frame).quantize(GIF_COLORS, dither=Image.Dither.NONE) for frame in frames)
    first.save(path, save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, optimize=True)


def _write_strip(path: Path, frames: Iterator[Frame], fps: float) -> None:  # noqa: ARG001 - one signature for all kinds
    from PIL import Image

    Image.fromarray(np.concatenate(list(frames), axis=1)).save(path, optimize=True)


def _chained(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from rest
