"""Line plots into files, drawn without a screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.paths import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Series = tuple[Sequence[float], Sequence[float]]

SIZE_INCHES = (8.0, 4.5)
DOTS_PER_INCH = 120


def plot_lines(
    path: Path | str, series: Mapping[str, Series], *, title: str = "", xlabel: str = "", ylabel: str = ""
) -> Path:
    """Draw one line a series and write the picture atomically; the ending (`.png`, `.svg`, `.pdf`) says how.

    Args:
        path: The file to write.
        series: Legend text -> (x values, y values) of equal length.
        title: Above the plot.
        xlabel: Below the horizontal axis, with its unit.
        ylabel: Beside the vertical axis, with its unit.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(path)
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(title=title, xlabel=xlabel, ylabel=ylabel)
    for label, (x, y) in series.items():
        axes.plot(x, y, label=label, marker="." if len(x) == 1 else None)
    axes.grid(alpha=0.3)
    if len(series) > 1:
        axes.legend()
    with atomic_write(path, suffix=path.suffix) as temporary:
        figure.savefig(temporary, dpi=DOTS_PER_INCH)
    return path
