"""What people see of a policy for a task: one table, with units and with baselines side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mocapact_cli.cli.expert_eval_view import shown
from mocapact_cli.cli.output import table

Document = Mapping[str, Any]

_COMMON = (
    ("Return", "return", ""),
    ("Length", "length", "steps"),
    ("Falls", "early_termination_rate", "%"),
)
_OWN = {
    "success_rate": ("Episodes that reach a target", "%"),
    "targets_reached": ("Targets an episode", ""),
    "time_to_target_s": ("Time to a target", "s"),
    "speed_error": ("Speed error", "m/s"),
    "direction_error": ("Direction error", "deg"),
}
"""Names of what tasks measure, for people, and units; others are shown by their own names."""


def evaluation_table(title: str, document: Document, subject: str = "Policy") -> Any:
    """Return the table of an evaluation's document."""
    subjects: dict[str, Document] = {subject: document, **document.get("baselines", {})}
    rows = [
        [name, unit, *(shown(own[key], unit, spread=own is document) for own in subjects.values())]
        for name, key, unit in _COMMON
    ]
    for key in document["task"]:
        name, unit = _OWN.get(key, (key, ""))
        rows.append([name, unit, *(shown(own["task"][key], unit, spread=False) for own in subjects.values())])
    return table(["Measure", "Unit", *subjects], rows, title=title, numeric=list(subjects))
