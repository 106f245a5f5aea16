"""Words on a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mocapact_cli.core.media.video import Frame

BAND = (0, 0, 0, 130)
INK = (255, 255, 255, 255)


def draw_caption(frame: Frame, text: str) -> Frame:
    """Return the frame with one or more lines of white text on a dark band along its upper edge.

    The letters scale with the frame's height; an empty text returns the frame as it is.
    """
    if not text:
        return frame
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(frame).convert("RGBA")
    size = max(10, frame.shape[0] // 24)
    font = ImageFont.load_default(size)
    margin = size // 2
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    bottom = draw.multiline_textbbox((margin, margin), text, font=font)[3]
    draw.rectangle((0, 0, image.width, bottom + margin), fill=BAND)
    draw.multiline_text((margin, margin), text, font=font, fill=INK)
    return np.asarray(Image.alpha_composite(image, layer).convert("RGB"))
