"""How good experts are, read from what their training left: cards of single ones, and a report of many."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import InvalidInputError, MocapactError, NotFoundError
from mocapact_cli.core.evaluation.report import EVALUATIONS_FILE, EvaluationHistory, read_evaluations
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, check_model, find_expert_folders, locate_expert
from mocapact_cli.core.interop.run_files import METRICS
from mocapact_cli.core.json_lines import json_object
from mocapact_cli.core.media.curves import CURVE_FILE, Evaluations, ExpertMark, plot_experts, plot_training
from mocapact_cli.core.progress import NullProgress, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeVar

    from mocapact_cli.core.interop.expert_folder import ExpertLocation

    T = TypeVar("T")

NORM_LENGTH_THRESHOLD = 0.98
"""Normalized length at which the published experts' training could end."""
KINDS = {"rsi": "eval_rsi", "start": "eval_start"}
"""Evaluations from random steps and from the snippet's start, and their folders."""
_SCORES = ("norm_return", "norm_length", "start_norm_return", "start_norm_length")


@dataclass(frozen=True)
class ExpertCard:
    """What is known of one expert.

    Attributes:
        root: Its folder, or the address where it lies.
        snippet: What it tracks; the folder's name where nothing says so.
        reason: Why it fails; empty if it does not.
        timesteps: Environment steps at the last evaluation.
        seconds: Wall-clock training until then, if recorded.
        kept_at: Environment steps of the model from random steps that is kept.
        norm_return: Its mean normalized return from random steps.
        norm_length: Its mean normalized length from random steps.
        start_norm_return: The return from the snippet's start of the model that is kept of those evaluations.
        start_norm_length: Its length.
        curves: The evaluations, by `rsi` and `start`.
    """

    root: Path | str
    snippet: str
    reason: str = ""
    timesteps: int | None = None
    seconds: float | None = None
    kept_at: int | None = None
    norm_return: float | None = None
    norm_length: float | None = None
    start_norm_return: float | None = None
    start_norm_length: float | None = None
    curves: dict[str, Evaluations] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the card without its curves."""
        return {name: value for name, value in vars(self).items() if name != "curves"}


@dataclass(frozen=True)
class ExpertReport:
    """Many experts.

    Attributes:
        cards: Those with the highest normalized return first, those without one last.
        threshold: The normalized length below which an expert fails.
    """

    cards: tuple[ExpertCard, ...]
    threshold: float

    @property
    def failing(self) -> list[ExpertCard]:
        """Those that fail."""
        return [card for card in self.cards if card.reason]

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean and standard deviation over all experts that were evaluated, by score."""
        values = {name: [v for card in self.cards if (v := getattr(card, name)) is not None] for name in _SCORES}
        return {
            name: {"mean": float(np.mean(known)), "std": float(np.std(known))}
            for name, known in values.items()
            if known
        }

    def to_json(self) -> dict[str, Any]:
        """Return the document that `mocapact expert report --json` prints."""
        failing = [{"root": card.root, "snippet": card.snippet, "reason": card.reason} for card in self.failing]
        return {
            "count": len(self.cards),
            "threshold": self.threshold,
            **self.summary(),
            "experts": [card.to_json() for card in self.cards],
            "failing": failing,
        }

    def plot(self, path: Path) -> Path:
        """Draw all of them into one picture."""
        marks = [
            ExpertMark(card.snippet, not card.reason, card.norm_length, card.norm_return, card.curves.get("rsi"))
            for card in self.cards
        ]
        return plot_experts(path, marks, threshold=self.threshold)


def report_experts(
    roots: Sequence[Path], *, threshold: float = NORM_LENGTH_THRESHOLD, progress: Progress | None = None
) -> ExpertReport:
    """Read all experts at or below some folders, the damaged and the unfinished included.

    Raises:
        NotFoundError: A folder does not exist, or there is no expert in any of them.
    """
    folders = list(dict.fromkeys(folder for root in roots for folder in find_expert_folders(root)))
    if not folders:
        raise NotFoundError(
            f"There is no expert in {', '.join(map(str, roots))}.", hint="An expert is a folder with eval_rsi."
        )
    cards = []
    with (progress or NullProgress()).task("Reading experts", total=len(folders), unit="experts") as task:
        for folder in folders:
            cards.append(read_card(folder, threshold=threshold))
            task.advance()
    cards.sort(key=lambda card: (-(card.norm_return if card.norm_return is not None else -np.inf), str(card.root)))
    return ExpertReport(tuple(cards), threshold)


def read_card(root: Path, *, threshold: float = NORM_LENGTH_THRESHOLD) -> ExpertCard:
    """Read what is known of an expert; what is missing or damaged becomes the card's reason.

    Args:
        root: The folder with `eval_rsi`.
        threshold: The normalized length below which it fails.
    """
    problems: list[str] = []
    location = _attempt(problems, lambda: locate_expert(root))
    curves = _attempt(problems, lambda: read_curves(root)) or {}
    _attempt(problems, lambda: check_model(root / RSI_MODEL))
    scores = _scores(root, curves)
    length = scores.get("norm_length")
    if length is not None and length < threshold:
        problems.append(below_threshold(length, threshold))
    return ExpertCard(root, _name(root, location), _one_line(problems, root), curves=curves, **scores)


def read_curves(root: Path) -> dict[str, Evaluations]:
    """Read the evaluations of an expert's training, ours or published.

    Raises:
        NotFoundError: None was finished.
        InvalidInputError: They are damaged.
    """
    seconds = _recorded_seconds(root / METRICS)
    paths = {kind: root / folder / EVALUATIONS_FILE for kind, folder in KINDS.items()}
    found = {kind: read_evaluations(path) for kind, path in paths.items() if path.is_file()}
    if "rsi" not in found or not found["rsi"].results_norm.size:
        raise NotFoundError("No evaluation was finished.")
    for kind, history in found.items():
        if not (np.isfinite(history.results_norm).all() and np.isfinite(history.ep_lengths_norm).all()):
            raise InvalidInputError(f"{paths[kind]} holds scores that are not numbers.")
    return {kind: _means(history, seconds) for kind, history in found.items() if history.results_norm.size}


def below_threshold(norm_length: float, threshold: float) -> str:
    """Say why a policy fails on a snippet that it does not track to the end."""
    return f"The normalized length, {norm_length:.3f}, is below {threshold:g}."


def draw_curve(root: Path) -> Path:
    """Draw `curve.png` of an expert's training into its folder.

    Raises:
        NotFoundError: No evaluation was finished.
        InvalidInputError: They are damaged.
    """
    return plot_training(root / CURVE_FILE, read_curves(root), title=_name(root, locate_expert(root)))


def _attempt(problems: list[str], read: Callable[[], T]) -> T | None:
    try:
        return read()
    except MocapactError as error:
        problems.append(error.message)
    except OSError as error:
        problems.append(f"{error.filename}: {error.strerror}.")
    return None


def _scores(root: Path, curves: dict[str, Evaluations]) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    if "rsi" in curves:
        rsi = curves["rsi"]
        best = _kept(root / KINDS["rsi"] / "model", rsi)
        scores = {"timesteps": int(rsi.timesteps[-1]), "kept_at": int(rsi.timesteps[best])}
        scores |= {"norm_return": float(rsi.norm_return[best]), "norm_length": float(rsi.norm_length[best])}
        scores |= {"seconds": float(rsi.seconds[-1])} if rsi.seconds is not None else {}
    if "start" in curves:
        start = curves["start"]
        best = _kept(root / KINDS["start"] / "model", start)
        scores |= {"start_norm_return": float(start.norm_return[best])}
        scores |= {"start_norm_length": float(start.norm_length[best])}
    return scores


def _kept(model: Path, evaluations: Evaluations) -> int:
    """Number of the evaluation of the model that is kept, as that says; else, of the highest normalized return."""
    said = (_attempt([], lambda: check_model(model)) or {}).get("num_timesteps")
    found = np.flatnonzero(evaluations.timesteps == said)
    return int(found[0]) if len(found) else int(np.argmax(evaluations.norm_return))


def _means(history: EvaluationHistory, seconds: dict[int, float]) -> Evaluations:
    timed = all(int(timesteps) in seconds for timesteps in history.timesteps)
    return Evaluations(
        timesteps=history.timesteps.astype(np.float64),
        norm_length=history.ep_lengths_norm.mean(axis=1),
        norm_return=history.results_norm.mean(axis=1),
        seconds=np.array([seconds[int(timesteps)] for timesteps in history.timesteps]) if timed else None,
    )


def _recorded_seconds(metrics: Path) -> dict[int, float]:
    """Return training seconds by environment steps; published runs have none, a line that a crash has cut says none."""
    lines = metrics.read_text(encoding="utf-8", errors="replace").splitlines() if metrics.is_file() else []
    rows = [row for line in lines if (row := json_object(line)) and "rsi_norm_return" in row]
    return {row["timesteps"]: float(row["seconds"]) for row in rows if {"timesteps", "seconds"} <= row.keys()}


def _name(root: Path, location: ExpertLocation | None) -> str:
    return str(location.snippet) if location is not None else "/".join(root.parts[-2:])


def _one_line(problems: list[str], root: Path) -> str:
    """Join what is wrong; files are named from the expert's folder, which stands beside."""
    text = " ".join(dict.fromkeys(problems))
    return text.replace(f"{root.absolute()}{os.sep}", "").replace(f"{root}{os.sep}", "")
