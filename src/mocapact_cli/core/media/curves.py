"""Pictures of how policies were trained: an expert's curve, many experts side by side, a curve of a task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.formatting import counted
from mocapact_cli.core.media.figures import new_figure, save_figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

CURVE_FILE = "curve.png"
"""Where a run's curve lies in its folder."""
COLOURS = {"norm_length": "tab:blue", "norm_return": "tab:orange"}
STYLES = {"rsi": ("-", "random steps"), "start": ("--", "the start")}
NAMED_EXPERTS = 60
"""Most experts whose names are readable in one picture."""
_ROW_INCHES = 0.2
_TASK_COLUMNS = 3
_TASK_LABELS = {"eval_length": "length in steps", "eval_falls": "share that falls"}
_GOOD, _FAILING = "tab:blue", "tab:red"


@dataclass(frozen=True)
class Evaluations:
    """Mean scores of one kind of evaluation over training, E of them.

    Attributes:
        timesteps: (E,) environment steps trained.
        norm_length: (E,) normalized lengths.
        norm_return: (E,) normalized returns.
        seconds: (E,) wall-clock seconds trained; None where nobody wrote them down.
    """

    timesteps: Values
    norm_length: Values
    norm_return: Values
    seconds: Values | None = None


@dataclass(frozen=True)
class ExpertMark:
    """What the picture of many experts shows of one.

    Attributes:
        name: Beside its row.
        good: Whether it passes.
        norm_length: Of the model that was kept; None if there is none.
        norm_return: Of the same model.
        curve: Its evaluations; None if there are none.
    """

    name: str
    good: bool
    norm_length: float | None = None
    norm_return: float | None = None
    curve: Evaluations | None = field(default=None, repr=False)


def plot_training(path: Path | str, curves: Mapping[str, Evaluations], *, title: str = "") -> Path:
    """Draw normalized length and return against environment steps and, where known, against time; atomically.

    Args:
        path: The file; its ending says the format.
        curves: Evaluations by kind, `rsi` or `start`; those that there are.
        title: Above the plot.
    """
    timed = all(curve.seconds is not None for curve in curves.values())
    figure, panels = _figure(1, 2 if timed else 1, (10.0 if timed else 6.0, 4.5), sharey=True)
    for kind, curve in curves.items():
        _draw_scores(panels[0], kind, curve, curve.timesteps)
        if timed and curve.seconds is not None:
            _draw_scores(panels[1], kind, curve, curve.seconds / 60.0)
    for panel, label in zip(panels, ("environment steps", "minutes"), strict=False):
        panel.set(xlabel=label, ylim=(0.0, max(1.05, panel.get_ylim()[1])))
        panel.set_xlim(left=0.0)
        panel.grid(alpha=0.3)
    _count_steps(panels[0])
    panels[0].set_ylabel("normalized score")
    panels[0].legend(fontsize="small", loc="lower right")
    figure.suptitle(title)
    return save_figure(figure, path)


def plot_task_training(path: Path | str, evaluations: Sequence[Mapping[str, Any]], *, title: str = "") -> Path:
    """Draw return, length, falls and what the task measures against environment steps; atomically.

    Args:
        path: The file; its ending says the format.
        evaluations: In order of time, with `timesteps` and numbers whose names begin with `eval_`; a measure may be
            None in some of them, and one that never was a number has no panel.
        title: Above the plot.
    """
    measured = {
        name: [(row["timesteps"], row[name]) for row in evaluations if row.get(name) is not None]
        for name in dict.fromkeys(name for row in evaluations for name in row if name.startswith("eval_"))
    }
    shown = {name: points for name, points in measured.items() if points}
    rows = -(-len(shown) // _TASK_COLUMNS)
    figure, panels = _figure(rows, _TASK_COLUMNS, (4.0 * _TASK_COLUMNS, 3.2 * rows))
    for panel, (name, points) in zip(panels, shown.items(), strict=False):
        steps, values = zip(*points, strict=True)
        panel.plot(steps, values, color=_GOOD, marker=".")
        panel.set(xlabel="environment steps", ylabel=_TASK_LABELS.get(name, name[len("eval_") :].replace("_", " ")))
        panel.set_xlim(0.0, max(1.0, *(1.02 * row["timesteps"] for row in evaluations)))
        panel.set_ylim(min(0.0, *values), max(1.05 * max(values), 1e-3))
        _count_steps(panel)
        panel.grid(alpha=0.3)
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    figure.suptitle(title)
    return save_figure(figure, path)


def plot_experts(path: Path | str, experts: Sequence[ExpertMark], *, threshold: float) -> Path:
    """Draw many experts: the scores of the models that were kept, best first, and how they were reached; atomically.

    Args:
        path: The file; its ending says the format.
        experts: Best first.
        threshold: Normalized length below which one fails.
    """
    rows = min(len(experts), NAMED_EXPERTS)
    figure, (scores, curves) = _figure(1, 2, (13.0, max(4.5, 1.2 + _ROW_INCHES * rows)))
    _draw_ranking(scores, experts, threshold)
    for expert in experts:
        if expert.curve is not None:
            line = {"color": _colour(expert), "alpha": max(0.15, min(0.9, 8.0 / len(experts)))}
            curves.plot(expert.curve.timesteps, expert.curve.norm_return, **line, **_marker(expert.curve.timesteps))
    curves.set(xlabel="environment steps", ylabel="normalized return from random steps", title="Training")
    curves.set_ylim(bottom=0.0)
    curves.set_xlim(left=0.0)
    _count_steps(curves)
    curves.grid(alpha=0.3)
    return save_figure(figure, path)


def _count_steps(panel: Any) -> None:
    """Write steps as 200k or 1.5M, because the digits of more than half a million run into each other."""
    from matplotlib.ticker import EngFormatter

    panel.xaxis.set_major_formatter(EngFormatter(sep=""))


def _draw_scores(panel: Any, kind: str, curve: Evaluations, x: Values) -> None:
    style, words = STYLES[kind]
    for score, name in (("norm_length", "length"), ("norm_return", "return")):
        y = getattr(curve, score)
        panel.plot(x, y, style, color=COLOURS[score], label=f"{name} from {words}", **_marker(x))


def _draw_ranking(panel: Any, experts: Sequence[ExpertMark], threshold: float) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.axvline(threshold, color="grey", linestyle=":", label=f"length of {threshold:g}")
    for score, marker, label in (("norm_return", "o", "return"), ("norm_length", "|", "length")):
        shown = [(row, value, e) for row, e in enumerate(experts, 1) if (value := getattr(e, score)) is not None]
        colours = [_colour(expert) for _, _, expert in shown]
        panel.scatter([value for _, value, _ in shown], [row for row, _, _ in shown], c=colours, marker=marker)
        # An entry of its own: those drawn have the colours of good and failing ones.
        panel.scatter([], [], color="black", marker=marker, label=label)
    for colour, label in ((_GOOD, "good"), (_FAILING, "failing")):
        panel.plot([], [], color=colour, linewidth=4, label=label)
    if len(experts) <= NAMED_EXPERTS:
        panel.set_yticks(range(1, len(experts) + 1), [expert.name for expert in experts], fontsize="small")
        for tick, expert in zip(panel.get_yticklabels(), experts, strict=True):
            tick.set_color("black" if expert.good else _FAILING)
    else:
        panel.yaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_ylabel("rank")
    panel.set(xlabel="normalized score from random steps", title=f"{counted(len(experts), 'expert')}, best first")
    # The reward's terms add up to more than one, so a normalized return may too.
    panel.set(xlim=(0.0, max(1.05, panel.get_xlim()[1])), ylim=(len(experts) + 0.5, 0.5))
    panel.grid(axis="x", alpha=0.3)
    panel.legend(fontsize="small", loc="upper left")


def _colour(expert: ExpertMark) -> str:
    return _GOOD if expert.good else _FAILING


def _marker(x: Values) -> dict[str, Any]:
    """A single evaluation is no line, so it needs a point, and that of the first step lies on the axis."""
    return {"marker": ".", "clip_on": False} if len(x) == 1 else {}


def _figure(rows: int, columns: int, size: tuple[float, float], *, sharey: bool = False) -> tuple[Any, list[Any]]:
    figure = new_figure(size)
    return figure, list(figure.subplots(rows, columns, squeeze=False, sharey=sharey).flat)
