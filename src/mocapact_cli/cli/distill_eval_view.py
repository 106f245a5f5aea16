"""What people see of a policy's evaluation on many snippets: the whole, the worst snippets, the failing ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mocapact_cli.cli.expert_eval_view import evaluation_table
from mocapact_cli.cli.output import out, table
from mocapact_cli.core.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mocapact_cli.core.evaluation.many_snippets import SnippetsReport

SHOWN = 12
"""Rows of a table, at most: policies are trained on hundreds of snippets."""
_FILES = {"save": "Numbers", "plot": "Plot", "video": "Video"}
_COLUMNS = ("Snippet", "Episodes", "Return", "Length", "MPJPE (mm)", "Ended early")


def show_evaluation(document: Mapping[str, Any], report: SnippetsReport | None) -> None:
    """Print an evaluation once, in the form that the mode asks for.

    Args:
        document: Its JSON document, with the files that were written.
        report: The evaluation; None where there is only a film.
    """
    short = document["norm_return"]["mean"] if report is not None else document.get("video", "")

    def human() -> list[Any]:
        parts = [] if report is None else evaluation_parts(document, report)
        return parts + [f"{label}: {document[name]}" for name, label in _FILES.items() if name in document]

    out.show(document, human, short=f"{short:.4f}" if report is not None else str(short))


def evaluation_parts(document: Mapping[str, Any], report: SnippetsReport) -> list[Any]:
    """Return the tables of an evaluation, and lines that say what they leave out."""
    rows, failing = report.worst_first, report.failing
    title = f"{document['policy']}: {counted(document['episodes'], 'episode')} on {counted(len(rows), 'snippet')}"
    parts = [evaluation_table(title, document, "Policy")]
    title = f"Snippets, worst first; failing: {len(failing):,} of {len(rows):,}"
    parts += _bounded(_COLUMNS, [_row(row) for row in rows], title=title, numeric=_COLUMNS[1:])
    reasons = [(row["snippet"], row["reason"]) for row in failing]
    return parts + (_bounded(("Snippet", "Reason"), reasons, title="Failing") if reasons else [])


def _row(row: Mapping[str, Any]) -> list[Any]:
    scores = [f"{row[name]['mean']:.3f}" for name in ("norm_return", "norm_length")]
    error = f"{row['mpjpe_mm']['root_relative']['mean']:.0f}" if "mpjpe_mm" in row else ""
    return [row["snippet"], row["episodes"], *scores, error, f"{100 * row['early_termination_rate']:.0f} %"]


def _bounded(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str, numeric: Sequence[str] = ()
) -> list[Any]:
    shown = [table(columns, rows[:SHOWN], title=title, numeric=numeric)]
    left = len(rows) - SHOWN
    return shown + ([f"…and {left:,} more; --json or --save has all.\n"] if left > 0 else [])
