"""From frames to a file: an mp4, a small gif or a png strip of frames side by side, chosen by the file's ending."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from PIL.Image import Image

Frame = NDArray[np.uint8]
"""(height, width, 3) RGB."""

FORMATS = ("mp4", "gif", "png")
GIF_FPS = 15.0
GIF_COLORS = 64
STRIP_FRAMES = 8
HOLD_SECONDS = 1.0
"""How long a film of a walker stands still at its end, so that the end is seen before a player begins anew."""
_PALETTE_FRAMES = 8
"""Frames, evenly spaced, from which a gif's colours are chosen."""


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

    An mp4 has `fps` frames a second, a gif at most 15, a png strip eight in all. The last frame is the end, even where
    that is less than a frame's time after the one before.
    """
    if film_format(path) == "png":
        return np.linspace(0.0, duration, STRIP_FRAMES)
    times = np.arange(0.0, duration + 1e-9, 1.0 / film_fps(path, fps))
    return times if duration - times[-1] < 1e-6 else np.append(times, duration)


def film_fps(path: Path | str, fps: float) -> float:
    """Return the frames a second that a file of this kind is written with when `fps` are asked for.

    A gif counts in hundredths of a second, so it has the nearest rate that lasts a whole number of them.
    """
    if film_format(path) != "gif":
        return fps
    return 100.0 / max(round(100.0 / fps), math.ceil(100.0 / GIF_FPS))


def write_film(path: Path | str, frames: Iterable[Frame], *, fps: float, hold: float = 0.0) -> Path:
    """Write frames to `path`, atomically; return the path.

    An mp4 is written one frame at a time; the frames of a gif are kept until its colours are known. Nothing is made,
    no folder either, before there is a first frame.

    Args:
        path: A name that ends in `.mp4` (H.264, plays everywhere), `.gif` or `.png`.
        frames: RGB frames of one size, at least one; for an mp4 width and height must be even.
        fps: Frames a second (a png strip ignores it).
        hold: Seconds for which the last frame stays (a png strip ignores it).

    Raises:
        UsageError: The file's ending is unknown.
    """
    path = Path(path)
    write = {"mp4": _write_mp4, "gif": _write_gif, "png": _write_strip}[film_format(path)]
    rest = iter(frames)
    first = next(rest)
    with atomic_write(path, suffix=path.suffix) as temporary:
        write(temporary, first, rest, fps, hold)
    return path


def _write_mp4(path: Path, first: Frame, rest: Iterator[Frame], fps: float, hold: float) -> None:
    import imageio_ffmpeg

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
        frame = first
        for frame in itertools.chain([first], rest):
            writer.send(np.ascontiguousarray(frame))
        for _ in range(round(hold * fps)):
            writer.send(np.ascontiguousarray(frame))
    finally:
        writer.close()


def _write_gif(path: Path, first: Frame, rest: Iterator[Frame], fps: float, hold: float) -> None:
    from PIL import Image

    frames = [Image.fromarray(frame) for frame in itertools.chain([first], rest)]
    palette = _palette(frames)
    # Shared colours do not flicker, and what stands still costs nothing.
    images = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [round(1000 / fps)] * len(images)
    durations[-1] += round(1000 * hold)
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=False)


def _palette(frames: Sequence[Image]) -> Image:
    """Return an image with the colours of a whole film, rare ones such as those of words among them."""
    from PIL import Image

    chosen = np.unique(np.linspace(0, len(frames) - 1, _PALETTE_FRAMES).round().astype(int))
    sample = Image.fromarray(np.concatenate([np.asarray(frames[index]) for index in chosen]))
    # The default method drops colours that few pixels have: a small ghost turns grey, red words brown.
    return sample.quantize(GIF_COLORS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def _write_strip(
    path: Path,
    first: Frame,
    rest: Iterator[Frame],
    fps: float,  # noqa: ARG001 - one signature for all kinds
    hold: float,  # noqa: ARG001
) -> None:
    from PIL import Image

    Image.fromarray(np.concatenate([first, *rest], axis=1)).save(path, optimize=True)
