"""Line plots into files, drawn without a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocapact_cli.core.media.figures import new_figure, save_figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Series = tuple[Sequence[float], Sequence[float]]

SIZE_INCHES = (8.0, 4.5)


def plot_lines(
    path: Path | str,
    series: Mapping[str, Series],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    share: bool = False,
) -> Path:
    """Draw one line a series and write the picture atomically; the ending (`.png`, `.svg`, `.pdf`) says how.

    Args:
        path: The file to write.
        series: Legend text -> (x values, y values) of equal length.
        title: Above the plot.
        xlabel: Below the horizontal axis, with its unit.
        ylabel: Beside the vertical axis, with its unit.
        share: Values are from 0 to 1, and all of that range is shown.
    """
    figure = new_figure(SIZE_INCHES)
    axes = figure.add_subplot(title=title, xlabel=xlabel, ylabel=ylabel)
    for label, (x, y) in series.items():
        axes.plot(x, y, label=label, marker="." if len(x) == 1 else None)
    axes.grid(alpha=0.3)
    if share:
        axes.set_ylim(0.0, 1.04)
    if len(series) > 1:
        axes.legend()
    return save_figure(figure, path)
