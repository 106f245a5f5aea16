"""One picture of motion capture: paths on the floor, heights, lengths of clips, and the joints of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.formatting import counted
from mocapact_cli.core.media.figures import PAGE_DOTS_PER_INCH, new_figure, save_figure, short_label
from mocapact_cli.core.media.joints_plot import JointTracks, draw_joints

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

_SIZE_INCHES = (12.0, 10.0)
NAMED_PATHS = 10
"""Most paths that get a colour and a name of their own."""


@dataclass(frozen=True)
class RootPath:
    """Where a clip of T poses goes.

    Attributes:
        name: The clip.
        position: (T, 3) of the root, metres.
        dt: Seconds between poses.
    """

    name: str
    position: FloatArray
    dt: float


@dataclass(frozen=True)
class MotionView:
    """What the picture shows.

    Attributes:
        title: Above it.
        paths: Of the clips that were read.
        seconds: How long every clip lasts.
        joints: One clip's joints; its reference is empty.
    """

    title: str
    paths: Sequence[RootPath]
    seconds: Sequence[float]
    joints: JointTracks


def plot_motion(path: Path | str, view: MotionView) -> Path:
    """Draw clips of motion capture and write the picture atomically; its ending says the format."""
    figure = new_figure(_SIZE_INCHES)
    figure.suptitle(short_label(view.title, 90), parse_math=False)
    above, below = figure.subfigures(2, 1)
    floor, height, lengths = above.subplots(1, 3)
    _draw_paths(floor, height, view.paths)
    _draw_seconds(lengths, view.seconds)
    draw_joints(below, view.joints, rows=2, columns=3)
    return save_figure(figure, path, dots_per_inch=PAGE_DOTS_PER_INCH, palette=True)


def _draw_paths(floor: Any, height: Any, paths: Sequence[RootPath]) -> None:
    named = len(paths) <= NAMED_PATHS
    style: dict[str, Any] = {} if named else {"color": "tab:blue", "alpha": 0.35}
    for path in paths:
        (line,) = floor.plot(path.position[:, 0], path.position[:, 1], linewidth=1.4, **style)
        floor.plot(*path.position[0, :2], "o", color=line.get_color(), markersize=4)
        times = path.dt * np.arange(len(path.position))
        height.plot(times, path.position[:, 2], color=line.get_color(), linewidth=1.4, alpha=line.get_alpha())
        if named:
            # An underscore first would keep the name out of the legend.
            line.set_label(short_label(path.name, 24).replace("$", r"\$").lstrip("_") or "?")
    floor.set(xlabel="x (m)", ylabel="y (m)", title="Root on the floor, from the dot")
    floor.set_aspect("equal", adjustable="datalim")
    height.set(xlabel="time (s)", ylabel="height (m)", title="Height of the root")
    for axes in (floor, height):
        axes.grid(alpha=0.3)
    if named:
        floor.legend(fontsize="x-small", loc="best", framealpha=0.7)


def _draw_seconds(axes: Any, seconds: Sequence[float]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.hist(seconds, min(30, max(5, len(seconds) // 3)), color="tab:blue", alpha=0.75)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    total = float(np.sum(seconds))
    axes.set(xlabel="seconds", ylabel="clips", title=f"{counted(len(seconds), 'clip')}, {total:,.1f} s in all")
    axes.grid(axis="y", alpha=0.3)
