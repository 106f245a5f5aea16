"""Curves in the panel, with a mark at the present time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import viser

    from mocapact_cli.core.viewer.curves import Chart
    from mocapact_cli.core.viewer.takes import FloatArray, Take

LINES = ("#d6965c", "#3d7fd1", "#4a9c6d", "#a65fb0", "#8a8f98")
"""Colours of the curves, in their order."""
MOST_POINTS = 1_000
"""Points of a curve; of longer takes every second, third ... frame is drawn."""
_MARK_COLOR, _LEVEL_COLOR = "#5c6370", "#d9534f"
_WIDTH, _HEIGHT, _LEGEND_HEIGHT = 330, 104, 140
"""Pixels."""
_NUDGE_S = 1e-6
_HIDDEN_POINTS = {"show": False}


class Charts:
    """The charts of a take, in a panel of their own.

    Args:
        gui: Where it is added.
    """

    def __init__(self, gui: viser.GuiApi) -> None:
        self._gui = gui
        self._panel = gui.add_panel()
        self._tab = self._panel.add_tab("Curves")
        self._panel.dock_left()
        self._panel.set_width(_WIDTH)
        self._plots: list[_Plot] = []
        self._charts: tuple[Chart, ...] = ()

    def begin(self, take: Take) -> None:
        """Show the charts of another take."""
        for plot in self._plots:
            plot.remove()
        with self._tab:
            self._plots = [_Plot(self._gui, chart, take) for chart in take.charts]
        self._panel.visible = bool(self._plots)

    def draw(self, take: Take, frame: int) -> None:
        """Draw what is known by now, and the mark at a frame."""
        for plot in self._plots:
            plot.draw(take, frame)


class _Plot:
    """One chart."""

    def __init__(self, gui: viser.GuiApi, chart: Chart, take: Take) -> None:
        self._chart, self._nudge = chart, _NUDGE_S
        self._span = (chart.lowest, chart.highest)
        data = self._data(take, 0)
        several = len(chart.curves) > 1
        self._title = gui.add_markdown(f"**{chart.title}**")
        self._handle = gui.add_uplot(
            data,
            tuple(self._series()),
            scales=self._scales(),
            axes=(
                {"size": 28, "gap": 2, "ticks": {"size": 4}, "space": 50},
                {"size": 40, "gap": 2, "ticks": {"size": 4}, "space": 20},
            ),
            legend={"show": several, "live": False},
            cursor={"show": False},
            height=_LEGEND_HEIGHT if several else _HEIGHT,
            padding=(6, 8, 0, 0),
        )

    def remove(self) -> None:
        self._title.remove()
        self._handle.remove()

    def draw(self, take: Take, frame: int) -> None:
        span = self._chart.span([take.curve(name) for name in self._chart.curves])
        if span != self._span:
            self._span = span
            self._handle.scales = self._scales()
        self._handle.data = self._data(take, frame)

    def _data(self, take: Take, frame: int) -> tuple[FloatArray, ...]:
        every = -(-take.capacity // MOST_POINTS)
        times: FloatArray = take.dt * np.arange(0.0, take.capacity, every)
        # A chart that is laid out before it has its width draws no times until their range changes.
        self._nudge = -self._nudge
        times[-1] += self._nudge
        curves = [take.curve(name)[::every] for name in self._chart.curves]
        if self._chart.level is not None:
            curves.append(np.full(len(times), self._chart.level))
        return marked(times, curves, min(frame // every, len(times) - 1), self._span)

    def _scales(self) -> dict[str, Any]:
        # The horizontal axis takes its ends from the times, which reach to the end of the take from the start.
        return {"x": {"time": False}, "y": {"range": self._span}}

    def _series(self) -> list[Any]:
        lines = [
            {"label": name.replace("_", " "), "stroke": color, "width": 1.5, "points": _HIDDEN_POINTS}
            for name, color in zip(self._chart.curves, LINES, strict=False)
        ]
        level = {"label": "limit", "stroke": _LEVEL_COLOR, "width": 1, "dash": (4, 4), "points": _HIDDEN_POINTS}
        mark = {"label": "now", "stroke": _MARK_COLOR, "width": 1.5, "points": _HIDDEN_POINTS}
        return [{"label": "s"}, *lines, *([level] if self._chart.level is not None else []), mark]


def marked(
    times: FloatArray, curves: Sequence[FloatArray], place: int, span: tuple[float, float]
) -> tuple[FloatArray, ...]:
    """Return times, curves and, as one more curve, a vertical line at a point of them.

    The point stands there three times, which changes no curve and gives the line its two ends.

    Args:
        times: (T,) ascending.
        curves: (T,) values each.
        place: Number of the point.
        span: Where the line begins and ends.
    """
    rows = np.sort(np.append(np.arange(len(times)), [place, place]))
    line = np.full(len(rows), np.nan)
    line[place : place + 2] = span
    return (times[rows], *(curve[rows] for curve in curves), line)
