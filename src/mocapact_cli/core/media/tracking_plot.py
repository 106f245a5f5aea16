"""One picture of how a policy tracks a snippet: its rewards over clip time, and where its episodes end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.formatting import counted
from mocapact_cli.core.media.figures import check_plot_path, new_figure, save_figure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]

_SIZE_INCHES = (9.0, 7.5)
_DOTS_PER_INCH = 110
_MAX_BINS = 40
"""Rows of the survival map: neighbouring start steps share one where there are more."""


@dataclass(frozen=True)
class EpisodeSpans:
    """When N episodes ran, seconds of clip time.

    Attributes:
        starts: (N,) when they began.
        ends: (N,) when they ended.
        failed: (N,) whether early.
    """

    starts: FloatArray
    ends: FloatArray
    failed: BoolArray


def plot_tracking(
    path: Path | str,
    times: FloatArray,
    means: Mapping[str, FloatArray],
    deviations: Mapping[str, FloatArray],
    episodes: EpisodeSpans,
    *,
    title: str,
) -> Path:
    """Draw both panels over the same clip time and write the picture atomically.

    Args:
        path: A name that ends in `.png`, `.svg` or `.pdf`.
        times: (T,) seconds of clip time at which steps end, evenly spaced.
        means: Channel -> (T,) mean reward as a share of what it can be; NaN where there is none.
        deviations: Channel -> (T,) standard deviation of the same.
        episodes: When they ran.
        title: Above the panels.

    Raises:
        UsageError: The file's ending is unknown.
    """
    check_plot_path(path)
    figure = new_figure(_SIZE_INCHES)
    figure.suptitle(title)
    above, below = figure.subplots(2, 1, sharex=True)
    _draw_rewards(above, times, means, deviations)
    if len(np.unique(episodes.starts)) > 1:
        _draw_survival_map(figure, below, times, episodes)
    else:
        _draw_survival_curve(below, times, episodes)
    below.set_xlabel("clip time (s)")
    # The spacing of the steps tells where the first one began.
    below.set_xlim(times[0] - (times[1] - times[0] if len(times) > 1 else 0.0), times[-1])
    return save_figure(figure, path, dots_per_inch=_DOTS_PER_INCH)


def survival_share(starts: FloatArray, ends: FloatArray, times: FloatArray) -> FloatArray:
    """Share of the episodes begun by each time that are still running after it; NaN before the first began.

    Args:
        starts: (N,) seconds.
        ends: (N,) seconds; an episode runs up to and including its end.
        times: (T,) seconds.

    Returns:
        (T,) shares.
    """
    begun = starts[:, None] < times - 1e-9
    running = begun & (ends[:, None] >= times - 1e-9)
    number = begun.sum(axis=0)
    return np.where(number > 0, running.sum(axis=0) / np.maximum(number, 1), np.nan)


def _draw_rewards(
    axes: Any, times: FloatArray, means: Mapping[str, FloatArray], deviations: Mapping[str, FloatArray]
) -> None:
    for name in sorted(means, key=lambda name: -np.nan_to_num(means[name]).mean()):
        (line,) = axes.plot(times, means[name], label=name.replace("_", " "), linewidth=1.8)
        low, high = means[name] - deviations[name], np.minimum(means[name] + deviations[name], 1.0)
        axes.fill_between(times, low, high, color=line.get_color(), alpha=0.13, linewidth=0)
    axes.set_ylim(min(0.0, min(float(np.nanmin(values)) for values in means.values()) - 0.02), 1.04)
    axes.set_ylabel("share of attainable reward")
    axes.set_title("Reward channels: mean of the running episodes, band = one standard deviation", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, title="channel")


def _draw_survival_map(figure: Any, axes: Any, times: FloatArray, episodes: EpisodeSpans) -> None:
    starts, ends, failed = episodes.starts, episodes.ends, episodes.failed
    step = times[1] - times[0]
    count = min(_MAX_BINS, round((starts.max() - starts.min()) / step) + 1)
    edges = np.linspace(starts.min(), starts.max() + step, count + 1)
    rows = np.clip(np.searchsorted(edges, starts + 1e-9) - 1, 0, count - 1)
    shares = np.stack([survival_share(starts[rows == row], ends[rows == row], times) for row in range(count)])
    columns = np.append(times - step, times[-1])
    mesh = axes.pcolormesh(columns, edges, np.ma.masked_invalid(shares), cmap="viridis", vmin=0.0, vmax=1.0)
    scale = axes.inset_axes((1.02, 0.0, 0.025, 1.0))
    figure.colorbar(mesh, cax=scale, label="share of episodes still running")
    axes.scatter(
        ends[failed], starts[failed] + step / 2.0, s=9, color="red", edgecolors="white", linewidths=0.3,
        label=f"ended early: {int(failed.sum())} of {counted(len(failed), 'episode')}",
    )  # fmt: skip
    axes.legend(loc="upper left", fontsize=9)
    axes.set_ylabel("start of the episode (s)")
    axes.set_title("Survival: each row is a start, read from left to right", fontsize=10)


def _draw_survival_curve(axes: Any, times: FloatArray, episodes: EpisodeSpans) -> None:
    failed = episodes.failed
    shares = survival_share(episodes.starts, episodes.ends, times)
    axes.step(times, shares, where="pre", color="tab:blue", linewidth=1.8)
    axes.set_ylim(0.0, 1.04)
    axes.set_ylabel("share of episodes still running")
    early = f"{int(failed.sum())} of {len(failed)} ended early"
    axes.set_title(f"Survival of episodes that begin at the snippet's first step: {early}", fontsize=10)
    axes.grid(alpha=0.3)
