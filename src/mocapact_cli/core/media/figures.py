"""What all pictures share: figures drawn without a screen, the kinds of files and how they are written."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.formatting import one_line

FORMATS = ("png", "svg", "pdf")
DOTS_PER_INCH = 120
PAGE_DOTS_PER_INCH = 80
"""Of large pictures that stand in pages, where they are shown smaller."""
_COLOURS = 128
_NAME_LENGTH = 30


def check_plot_path(path: Path | str) -> None:
    """Raise a `UsageError` unless the ending says how to draw."""
    if Path(path).suffix.lower().removeprefix(".") not in FORMATS:
        raise UsageError(f"{path} is not a kind of picture.", hint="Give a name that ends in .png, .svg or .pdf.")


def new_figure(size: tuple[float, float]) -> Any:
    """Return an empty figure, width and height in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(
    figure: Any, path: Path | str, *, dots_per_inch: int = DOTS_PER_INCH, palette: bool = False, **style: Any
) -> Path:
    """Write a figure atomically; the ending of `path` says the format.

    Args:
        figure: From `new_figure`.
        path: A name that ends in `.png`, `.svg` or `.pdf`.
        dots_per_inch: Of a png.
        palette: Give a png few colours, which makes it a third of the size.
        style: More for matplotlib's `savefig`.
    """
    path = Path(path)
    with atomic_write(path, suffix=path.suffix) as temporary:
        with warnings.catch_warnings():
            # Letters that the font lacks are drawn as boxes; nothing can be done about them here.
            warnings.filterwarnings("ignore", message="Glyph")
            figure.savefig(temporary, dpi=dots_per_inch, facecolor="white", **style)
        if palette and path.suffix.lower() == ".png":
            _use_palette(temporary)
    return path


def short_label(name: str, length: int = _NAME_LENGTH) -> str:
    """Return a name on one printable line, its middle left out where it is long: both ends tell names apart."""
    name = one_line(name)
    half = (length - 3) // 2
    return name if len(name) <= length else f"{name[:half]}...{name[-half:]}"


def _use_palette(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        reduced = image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    reduced.save(path, format="png", optimize=True)
