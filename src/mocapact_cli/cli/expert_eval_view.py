"""What people see of an expert's evaluation: one table, grouped, with units and with baselines side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mocapact_cli.cli.output import cell, table

Document = Mapping[str, Any]

GROUPS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Score (higher is better)": (
        ("Normalized return", "norm_return", ""),
        ("Normalized length", "norm_length", ""),
        ("Return", "return", ""),
        ("Length", "length", "steps"),
        ("Success rate", "success_rate", "%"),
    ),
    "Pose error (lower is better)": (
        ("MPJPE, global", "mpjpe_mm.global", "mm"),
        ("MPJPE, root-relative", "mpjpe_mm.root_relative", "mm"),
        ("MPJPE, Procrustes-aligned", "mpjpe_mm.procrustes", "mm"),
        ("Hands and feet, position", "end_effector_position_mm", "mm"),
        ("Hands and feet, orientation", "end_effector_orientation_deg", "deg"),
    ),
    "Motion error (lower is better)": (
        ("Body velocity", "velocity_error_m_s", "m/s"),
        ("Body acceleration", "acceleration_error_m_s2", "m/s^2"),
        ("Joint velocity", "joint_velocity_error_rad_s", "rad/s"),
    ),
    "Smoothness (lower is smoother)": (
        ("Change of action a step", "action_change", ""),
        ("Joint jerk", "joint_jerk_rad_s3", "rad/s^3"),
    ),
    "Feet on the floor": (
        ("Contact as the reference", "contact_agreement", "%"),
        ("Contact F1 (1 is best)", "contact_f1", ""),
        ("Foot skate (lower is better)", "foot_skate_m_s", "m/s"),
    ),
}
"""Heading -> (name, path in the document, unit) of each measure."""


def evaluation_table(title: str, document: Document, subject: str = "Expert") -> Any:
    """Return the table of an evaluation's document; measures that it lacks are left out."""
    subjects: dict[str, Document] = {subject: document, **document.get("baselines", {})}
    has_reference = any(name.startswith("reference_") for name in document)
    headings = [*subjects, *(["Reference"] if has_reference else [])]
    rows: list[list[str]] = []
    for group, measures in GROUPS.items():
        present = [measure for measure in measures if _find(document, measure[1]) is not None]
        if present:
            rows.append([group, "", *("" for _ in headings)])
        for name, path, unit in present:
            values = [shown(_find(own, path), unit, spread=own is document) for own in subjects.values()]
            reference = [shown(document.get(f"reference_{path}"), unit, spread=False)] if has_reference else []
            rows.append([f"  {name}", unit, *values, *reference])
    return table(["Measure", "Unit", *headings], rows, title=title, numeric=headings)


def _find(document: Document, path: str) -> Any:
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def shown(value: Any, unit: str, *, spread: bool) -> str:
    """Format a rate, or a mean and, if wanted, the standard deviation."""
    if value is None:
        return ""
    mean, std = (value["mean"], value["std"]) if isinstance(value, Mapping) else (value, None)
    if math.isnan(mean):
        return "-"
    factor = 100.0 if unit == "%" else 1.0
    shown = _rounded(factor * mean)
    return f"{shown} ± {_rounded(factor * std)}" if spread and std is not None else shown


def _rounded(value: float) -> str:
    return cell(float(f"{value:.3g}"))
