"""How the report of many experts is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mocapact_cli.cli.output import table
from mocapact_cli.core.formatting import counted

if TYPE_CHECKING:
    from mocapact_cli.core.evaluation.expert_report import ExpertCard, ExpertReport

_SCORES = ("norm_return", "norm_length", "start_norm_return", "start_norm_length")
_HEADINGS = ("Return", "Length", "Start return", "Start length", "Steps", "Minutes")


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
