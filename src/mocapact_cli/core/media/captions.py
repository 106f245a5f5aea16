"""Words on a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mocapact_cli.core.media.video import Frame

BAND = (0, 0, 0, 130)
INK = (255, 255, 255, 255)
GAP = "   "
"""Between the parts of a line."""
MIN_SIZE = 10
"""Pixels of the smallest letters."""


def draw_caption(
    frame: Frame, text: str, *, size: int | None = None, ink: tuple[int, int, int, int] = INK, below: bool = False
) -> Frame:
    """Return the frame with one or more lines of text on a dark band along its upper edge.

    An empty text returns the frame as it is. Of a line that is too wide, the part before the first three spaces, such
    as a name, loses its middle.

    Args:
        frame: The picture.
        text: The lines.
        size: Of the letters, pixels; by default they scale with the frame's height.
        ink: Colour of the letters, RGBA.
        below: Along the lower edge instead.
    """
    if not text:
        return frame
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(frame).convert("RGBA")
    size = size or max(MIN_SIZE, frame.shape[0] // 24)
    font = ImageFont.load_default(size)
    margin = size // 2
    text = "\n".join(_narrowed(line, image.width - 2 * margin, size) for line in text.splitlines())
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    # Letters below the line must not move the band from one frame to the next.
    tallest = "\n".join("Ag" for _ in text.splitlines())
    height = int(draw.multiline_textbbox((margin, margin), tallest, font=font)[3]) + margin
    top = image.height - height if below else 0
    draw.rectangle((0, top, image.width, top + height), fill=BAND)
    draw.multiline_text((margin, top + margin), text, font=font, fill=ink)
    return np.asarray(Image.alpha_composite(image, layer).convert("RGB"))


def _narrowed(line: str, width: int, size: int) -> str:
    from PIL import ImageFont

    font: Any = ImageFont.load_default(size)
    name, gap, rest = line.partition(GAP)
    if font.getlength(line) <= width:
        return line
    return fitted(name, int(width - font.getlength(gap + rest)), size) + gap + rest


def fitted(text: str, width: int, size: int) -> str:
    """Return a text that is at most `width` pixels wide in letters of this size, its middle left out if need be."""
    from PIL import ImageFont

    font: Any = ImageFont.load_default(size)
    kept, shown = len(text), text
    while kept > 2 and font.getlength(shown) > width:
        kept -= 1
        shown = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
    return shown
