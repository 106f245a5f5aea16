"""One picture of how a policy does on many snippets: their scores, worst first, and how long its episodes survive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.formatting import counted
from mocapact_cli.core.media.figures import check_plot_path, new_figure, save_figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]

NAMED = 40
"""Most snippets that get a bar and a name each; of more, the sorted scores are drawn as curves."""
_LISTED = 10
_COLOURS = {"length": "tab:blue", "return": "tab:orange"}
_FAILING = "tab:red"


@dataclass(frozen=True)
class SnippetScore:
    """What the picture shows of a snippet: its mean normalized length and return, and whether it fails."""

    name: str
    norm_length: float
    norm_return: float
    failing: bool


def plot_snippets(
    path: Path | str,
    scores: Sequence[SnippetScore],
    norm_lengths: FloatArray,
    failed: BoolArray,
    *,
    threshold: float,
    title: str,
) -> Path:
    """Draw scores and survival and write the picture atomically.

    Args:
        path: A name that ends in `.png`, `.svg` or `.pdf`.
        scores: Of each snippet, worst first.
        norm_lengths: (N,) normalized lengths of all episodes.
        failed: (N,) whether they ended early.
        threshold: Normalized length below which a snippet fails.
        title: Above the panels.

    Raises:
        UsageError: The file's ending is unknown.
    """
    check_plot_path(path)
    named = len(scores) <= NAMED
    figure = new_figure((12.5, max(4.8, 1.6 + 0.26 * len(scores)) if named else 5.4))
    figure.suptitle(title)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
    (_draw_bars if named else _draw_curves)(left, scores, threshold)
    failing = sum(score.failing for score in scores)
    left.set_title(f"Mean scores; failing: {failing:,} of {counted(len(scores), 'snippet')}", fontsize=10)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", fontsize="small", ncols=3, frameon=False)
    _draw_survival(right, norm_lengths, failed)
    return save_figure(figure, path)


def survival(norm_lengths: FloatArray, failed: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the share of N episodes that have not ended early by each part of their way.

    The area below these steps is the mean normalized length, and the last one is the success rate.

    Args:
        norm_lengths: (N,) parts of the way at which they ended.
        failed: (N,) whether early.

    Returns:
        Parts of the way (K + 1,) from 0 on, ascending, and the shares (K + 1,) from each of them on.
    """
    ends = np.sort(norm_lengths[failed])
    return np.append(0.0, ends), np.asarray(1.0 - np.arange(len(ends) + 1) / len(failed))


def _draw_bars(axes: Any, scores: Sequence[SnippetScore], threshold: float) -> None:
    rows, height = np.arange(len(scores)), 0.38
    for offset, label, values in (
        (-height / 2, "length", [score.norm_length for score in scores]),
        (height / 2, "return", [score.norm_return for score in scores]),
    ):
        axes.barh(rows + offset, values, height, color=_COLOURS[label], label=f"normalized {label}")
    axes.set_yticks(rows, [score.name for score in scores], fontsize="small")
    for tick, score in zip(axes.get_yticklabels(), scores, strict=True):
        tick.set_color(_FAILING if score.failing else "black")
    axes.axvline(threshold, color="grey", linestyle=":", label=f"fails below a length of {threshold:g}")
    # Half a row more than there is keeps one or two bars from filling the picture.
    spare = max(0.0, 2.0 - len(scores) / 2)
    axes.set(xlim=(0.0, _limit(scores)), ylim=(len(scores) - 0.5 + spare, -0.5 - spare), xlabel="normalized score")
    axes.grid(axis="x", alpha=0.3)


def _draw_curves(axes: Any, scores: Sequence[SnippetScore], threshold: float) -> None:
    ranks = np.arange(1, len(scores) + 1)
    lengths = np.array([score.norm_length for score in scores])
    returns = np.array([score.norm_return for score in scores])
    axes.plot(ranks, lengths, color=_COLOURS["length"], linewidth=2, label="normalized length")
    axes.scatter(ranks, returns, s=5, color=_COLOURS["return"], alpha=0.6, linewidths=0, label="normalized return")
    axes.axhline(threshold, color="grey", linestyle=":", label=f"fails below a length of {threshold:g}")
    axes.set(xlim=(1, len(scores)), ylim=(0.0, _limit(scores)), ylabel="normalized score")
    axes.set_xlabel("snippets, by length, worst first")
    axes.grid(alpha=0.3)
    worst = "\n".join(f"{score.norm_length:.3f}  {score.name}" for score in scores[:_LISTED])
    axes.text(
        0.985, 0.03, f"lowest lengths\n{worst}", transform=axes.transAxes, ha="right", va="bottom", fontsize=7,
        multialignment="left", bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "lightgrey"},
    )  # fmt: skip


def _limit(scores: Sequence[SnippetScore]) -> float:
    """The reward's terms add up to more than one, so a normalized return may too."""
    return max(1.05, 1.02 * max(score.norm_return for score in scores))


def _draw_survival(axes: Any, norm_lengths: FloatArray, failed: BoolArray) -> None:
    parts, shares = survival(norm_lengths, failed)
    axes.step(np.append(parts, 1.0), np.append(shares, shares[-1]), where="post", color="tab:blue")
    axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.04), xlabel="part of the way from the start to the snippet's end")
    axes.set_ylabel("share of episodes still running")
    axes.grid(alpha=0.3)
    early = f"{int(failed.sum()):,} of {counted(len(failed), 'episode')} ended early"
    axes.set_title(f"Survival: {early}", fontsize=10)
