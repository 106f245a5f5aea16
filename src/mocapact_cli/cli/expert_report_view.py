"""How the end of a training run and the report of many experts are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mocapact_cli.cli.output import table
from mocapact_cli.core.formatting import counted

if TYPE_CHECKING:
    from mocapact_cli.core.evaluation.expert_report import ExpertCard, ExpertReport
    from mocapact_cli.core.training.expert.train import ExpertResult

_SCORES = ("norm_return", "norm_length", "start_norm_return", "start_norm_length")
_HEADINGS = ("Return", "Length", "Start return", "Start length", "Steps", "Minutes")


def training_json(result: ExpertResult) -> dict[str, Any]:
    """Return the document of a training run."""
    return {
        "root": result.root,
        "model": result.model,
        "curve": result.curve,
        "snippet": str(result.snippet),
        "timesteps": result.timesteps,
        "seconds": result.seconds,
        "stopped_because": result.stopped_because,
        "best": {"rsi_norm_return": result.best_rsi, "start_norm_return": result.best_start},
        "last": result.evaluations[-1],
    }


def training_facts(result: ExpertResult) -> dict[str, str]:
    """Return what people are told at the end of a training run."""
    last = result.evaluations[-1]
    pace = f", {result.timesteps / result.seconds:,.0f} a second" if result.seconds > 0 else ""
    rows = {
        "Snippet": str(result.snippet),
        "Samples": f"{result.timesteps:,} in {result.seconds:,.0f} s{pace}",
        "Ended because": result.stopped_because,
        "Best normalized return": f"{result.best_rsi:.3f} from random steps, {result.best_start:.3f} from the start",
        "Last normalized length": f"{last['rsi_norm_length']:.3f} and {last['start_norm_length']:.3f}",
        "Model": str(result.model),
    }
    return rows | ({"Curve": str(result.curve)} if result.curve else {})


def report_tables(report: ExpertReport) -> list[Any]:
    """Return the table of all experts, and that of the failing ones if there are any."""
    evaluated = [card for card in report.cards if card.norm_return is not None]
    title = f"{counted(len(report.cards), 'expert')}, {len(report.failing):,} of them failing"
    columns = ["Snippet", *_HEADINGS, "Folder"]
    shown: list[Any] = [table(columns, [_row(card) for card in evaluated], title=title, numeric=_HEADINGS)]
    if report.failing:
        rows = [(card.snippet, str(card.root), card.reason) for card in report.failing]
        shown.append(table(["Snippet", "Folder", "Reason"], rows, title="Failing"))
    return shown


def _row(card: ExpertCard) -> list[Any]:
    scores = ["" if (value := getattr(card, name)) is None else f"{value:.3f}" for name in _SCORES]
    minutes = "" if card.seconds is None else f"{card.seconds / 60.0:,.1f}"
    return [card.snippet, *scores, card.timesteps, minutes, str(card.root)]
