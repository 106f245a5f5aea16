"""One picture of recorded rollouts: scores, lengths, early ends, ranges of actions and observations, joints."""

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
    BoolArray = NDArray[np.bool_]

_SIZE_INCHES = (13.0, 15.0)
NAMED_SNIPPETS = 14
"""Most snippets that get a row with a name; more are drawn as curves over their rank."""
RETURN_COLOUR, LENGTH_COLOUR, FAILED_COLOUR, RANGE_COLOUR = "tab:orange", "tab:blue", "tab:red", "tab:blue"
_BINS = 30
_JOINT_ROWS, _JOINT_COLUMNS = 3, 2
_WIDE = 20.0
"""Ratio of the largest to the median reach of observables from which on their axis is logarithmic away from zero."""


@dataclass(frozen=True)
class SnippetScores:
    """The episodes of one snippet, E of them.

    Attributes:
        name: The snippet.
        norm_return: (E,) normalized returns.
        norm_length: (E,) normalized lengths.
        length: (E,) steps.
        failed: (E,) which ended early.
        starts: (E,) steps from the snippet's first to theirs; NaN where it is not known.
    """

    name: str
    norm_return: FloatArray
    norm_length: FloatArray
    length: FloatArray
    failed: BoolArray
    starts: FloatArray


@dataclass(frozen=True)
class DatasetView:
    """What the picture shows.

    Attributes:
        title: Above it.
        snippets: Scores by snippet.
        observables: Names with seven percentiles (0, 1, 25, 50, 75, 99, 100); None where nothing is finite.
        actions: Seven percentiles of each action; None where nothing is finite.
        joints: An episode's joints; None where they were not recorded.
    """

    title: str
    snippets: Sequence[SnippetScores]
    observables: Sequence[tuple[str, Sequence[float] | None]]
    actions: Sequence[Sequence[float] | None]
    joints: JointTracks | None = None


def plot_dataset(path: Path | str, view: DatasetView) -> Path:
    """Draw a dataset and write the picture atomically; its ending says the format."""
    figure = new_figure(_SIZE_INCHES)
    figure.suptitle(short_label(view.title, 90), parse_math=False)
    above, below = figure.subfigures(2, 1, height_ratios=(1.0, 1.05))
    panels = above.subplots(2, 2)
    if len(view.snippets) <= NAMED_SNIPPETS:
        _draw_named_scores(panels[0, 0], view.snippets)
    else:
        _draw_ranked_scores(panels[0, 0], view.snippets)
    _draw_lengths(panels[0, 1], view.snippets)
    _draw_early_ends(panels[1, 0], view.snippets)
    _draw_actions(panels[1, 1], view.actions)
    left, right = below.subfigures(1, 2)
    _draw_observables(left.subplots(), view.observables)
    _draw_joints(right, view.joints)
    return save_figure(figure, path, dots_per_inch=PAGE_DOTS_PER_INCH, palette=True)


def _draw_named_scores(axes: Any, snippets: Sequence[SnippetScores]) -> None:
    rows = np.arange(len(snippets))
    kinds = (("norm_return", RETURN_COLOUR, -0.17, "return"), ("norm_length", LENGTH_COLOUR, 0.17, "length"))
    for score, colour, shift, label in kinds:
        values = [getattr(snippet, score) for snippet in snippets]
        for row, episodes in zip(rows, values, strict=True):
            axes.plot(episodes, np.full(len(episodes), row + shift), "|", color=colour, alpha=0.5, markersize=7)
        means = [episodes.mean() if len(episodes) else np.nan for episodes in values]
        axes.plot(means, rows + shift, "o", color=colour, markersize=5, label=f"{label} (mean, episodes)")
    axes.set_yticks(rows, [short_label(snippet.name) for snippet in snippets], fontsize=8, parse_math=False)
    axes.set_ylim(max(len(snippets), 1) - 0.5, -0.5)
    axes.set(xlabel="normalized score", title="Scores of the snippets")
    axes.set_xlim(0.0, max(1.05, axes.get_xlim()[1]))
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize="small", loc="best", framealpha=0.7)


def _draw_ranked_scores(axes: Any, snippets: Sequence[SnippetScores]) -> None:
    for score, colour, label in (("norm_return", RETURN_COLOUR, "return"), ("norm_length", LENGTH_COLOUR, "length")):
        values = [getattr(snippet, score) for snippet in snippets]
        values = sorted((episodes for episodes in values if len(episodes)), key=lambda episodes: -episodes.mean())
        ranks = np.arange(1, len(values) + 1)
        axes.plot(ranks, [episodes.mean() for episodes in values], color=colour, label=f"{label}, band: 10 % to 90 %")
        low, high = np.array([np.percentile(episodes, (10, 90)) for episodes in values]).T
        axes.fill_between(ranks, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.set(xlabel="rank of the snippet, best first", ylabel="normalized score", title="Scores of the snippets")
    axes.set_ylim(0.0, max(1.05, axes.get_ylim()[1]))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="best")


def _draw_lengths(axes: Any, snippets: Sequence[SnippetScores]) -> None:
    lengths = np.concatenate([snippet.length for snippet in snippets]) if snippets else np.empty(0)
    failed = np.concatenate([snippet.failed for snippet in snippets]) if snippets else np.empty(0, bool)
    _draw_shares(axes, lengths, failed)
    axes.set(xlabel="steps", ylabel="episodes", title="Lengths of the episodes")


def _draw_early_ends(axes: Any, snippets: Sequence[SnippetScores]) -> None:
    starts = np.concatenate([snippet.starts for snippet in snippets]) if snippets else np.empty(0)
    failed = np.concatenate([snippet.failed for snippet in snippets]) if snippets else np.empty(0, bool)
    known = np.isfinite(starts)
    _draw_shares(axes, starts[known], failed[known])
    unknown = f" (not known of {counted(int((~known).sum()), 'episode')})" if not known.all() else ""
    axes.set(xlabel=f"step of the snippet at which the episode begins{unknown}", ylabel="episodes")
    axes.set_title(f"Early ends by start: {int(failed.sum()):,} of {counted(len(failed), 'episode')}")


def _draw_shares(axes: Any, values: FloatArray, failed: BoolArray) -> None:
    """Stack the episodes that ended early on the others."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.3)
    if not len(values):
        return
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low - 0.5, high + 0.5, min(_BINS, max(int(high - low) + 1, 1)) + 1)
    parts, labels = (values[~failed], values[failed]), ("ran to the end", "ended early")
    axes.hist(parts, edges, stacked=True, color=(LENGTH_COLOUR, FAILED_COLOUR), alpha=0.75, label=labels)
    axes.legend(fontsize="small", loc="best", framealpha=0.7)


def _draw_actions(axes: Any, actions: Sequence[Sequence[float] | None]) -> None:
    axes.set(xlabel="actuator", ylabel="action", title="Ranges of the actions")
    known = [(number, values) for number, values in enumerate(actions) if values is not None]
    if not known:
        return
    numbers = np.array([number for number, _ in known])
    low, first, lower, median, upper, last, high = np.array([values for _, values in known]).T
    axes.vlines(numbers, low, high, color=RANGE_COLOUR, alpha=0.35, linewidth=1, label="all")
    axes.vlines(numbers, first, last, color=RANGE_COLOUR, alpha=0.55, linewidth=2.5, label="1 % to 99 %")
    axes.vlines(numbers, lower, upper, color=RANGE_COLOUR, linewidth=4.5, label="middle half")
    axes.plot(numbers, median, "_", color="black", markersize=5, label="median")
    for limit in (-1.0, 1.0):
        axes.axhline(limit, color="grey", linestyle=":", linewidth=1)
    axes.set_xlim(-1, len(actions))
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(bottom, -1.1), top + 0.28 * (top - bottom))
    axes.legend(fontsize="small", loc="upper center", ncols=4, framealpha=0.7)


def _draw_observables(axes: Any, observables: Sequence[tuple[str, Sequence[float] | None]]) -> None:
    rows = np.arange(len(observables))
    for row, (_, values) in zip(rows, observables, strict=True):
        if values is None:
            axes.text(0.0, row, "nothing finite", color=FAILED_COLOUR, fontsize=8, va="center", ha="center")
            continue
        low, first, lower, median, upper, last, high = values
        axes.hlines(row, low, high, color=RANGE_COLOUR, alpha=0.35, linewidth=1)
        axes.hlines(row, first, last, color=RANGE_COLOUR, alpha=0.55, linewidth=3.5)
        axes.hlines(row, lower, upper, color=RANGE_COLOUR, linewidth=6.5)
        axes.plot([median], [row], "|", color="black", markersize=7)
    reaches = [max(abs(values[0]), abs(values[-1])) for _, values in observables if values is not None]
    if reaches and max(reaches) > _WIDE * max(float(np.median(reaches)), 1e-9):
        axes.set_xscale("symlog", linthresh=max(1.0, float(f"{np.median(reaches):.0e}")))
    names = [short_label(name.removeprefix("walker/"), 34) for name, _ in observables]
    axes.set_yticks(rows, names, fontsize=8, parse_math=False)
    axes.set_ylim(max(len(observables), 1) - 0.5, -0.5)
    axes.axvline(0.0, color="grey", linewidth=0.6)
    axes.grid(axis="x", alpha=0.3)
    axes.set_title("Ranges of the observables: all, 1 % to 99 %, middle half", fontsize=11)
    axes.tick_params(axis="x", labelsize=8)


def _draw_joints(figure: Any, joints: JointTracks | None) -> None:
    if joints is None:
        figure.subplots().set_axis_off()
        figure.suptitle("Joint angles were not recorded", fontsize=11)
        return
    draw_joints(figure, joints, rows=_JOINT_ROWS, columns=_JOINT_COLUMNS)
