"""How good something is, from what its training or recording has left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import MocapactError
from mocapact_cli.core.interop.run_files import METRICS
from mocapact_cli.core.json_lines import json_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ENDINGS = ("_norm_return", "_norm_length", "_completion_seconds")
_LOSS = "val_loss"


@dataclass(frozen=True)
class Score:
    """One number.

    Attributes:
        of: What it is of: a snippet, or how it was evaluated.
        name: Of the number, such as `normalized return`.
        value: The number.
    """

    of: str
    name: str
    value: float


def of_experts(roots: Sequence[Path]) -> tuple[Score, ...]:
    """Return the scores of the models that were kept, from random steps and from the start."""
    from mocapact_cli.core.evaluation.expert_report import read_card

    return tuple(score for root in roots for score in _of_expert(read_card(root)))


def _of_expert(card: Any) -> list[Score]:
    named = {
        "normalized return, random steps": card.norm_return,
        "normalized length, random steps": card.norm_length,
        "normalized return, from the start": card.start_norm_return,
        "normalized length, from the start": card.start_norm_length,
    }
    return [Score(card.snippet, name, value) for name, value in named.items() if value is not None]


def of_task(root: Path) -> tuple[Score, ...]:
    """Return the scores of the model that was kept: that of the highest mean return."""
    from mocapact_cli.core.evaluation.inspection import inspect_path
    from mocapact_cli.core.evaluation.report import EVALUATIONS_FILE

    try:
        evaluations = inspect_path(root / "eval" / EVALUATIONS_FILE)["evaluations"]
    except MocapactError:
        return ()
    if not evaluations:
        return ()
    best = max(evaluations, key=lambda row: row["return"]["mean"])
    about = f"{best['episodes']:,} episodes"
    named = {"return": best["return"]["mean"], "length": best["length"]["mean"]}
    return tuple(Score(about, name, value) for name, value in named.items())


def of_distillation(root: Path) -> tuple[Score, ...]:
    """Return the scores of the last evaluation in the metrics of a run; none where there is no run."""
    path = root / METRICS
    if not path.is_file():
        return ()
    rows = [row for line in path.read_text(encoding="utf-8").splitlines() if (row := _evaluation(line))]
    if not rows:
        return ()
    step = f"after {rows[-1].get('step', 0):,} steps"
    return tuple(
        Score(step, name.replace("_", " ").replace("norm ", "normalized "), float(value))
        for name, value in rows[-1].items()
        if name.endswith(_ENDINGS) or name == _LOSS
    )


def _evaluation(line: str) -> dict[str, Any]:
    row = json_object(line) or {}
    return row if any(name.endswith(_ENDINGS) or name == _LOSS for name in row) else {}


def of_rollouts(snippets: Sequence[Mapping[str, Any]]) -> tuple[Score, ...]:
    """Return the mean scores of the recorded episodes of each snippet."""
    found = []
    for row in snippets:
        for key, name in (("norm_return", "normalized return"), ("norm_length", "normalized length")):
            if row.get(key):
                found.append(Score(row["snippet"], name, row[key]["mean"]))
    return tuple(found)
