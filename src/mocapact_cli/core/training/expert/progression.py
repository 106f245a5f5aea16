"""Numbers that expert training carries from update to update."""

from __future__ import annotations

from dataclasses import dataclass, field

from mocapact_cli.core.training.ppo.checkpoint import Progression


@dataclass
class ExpertProgression(Progression):
    """Numbers that expert training carries from update to update.

    Attributes:
        best_rsi: Mean normalized return from random steps of the model that is kept as the best.
        best_start: The same from the snippet's start.
        length_rsi: Mean normalized length from random steps of the model that is kept, as far as it counts.
        length_start: The same from the snippet's start.
        stale: Evaluations without a gain.
        reference_return: The normalized return that a gain is measured against.
        taught: Environment steps taken when the expert last learned from its teacher.
        missing: What is known of the starts, as `FailureStarts.missing`.
    """

    best_rsi: float = -1.0
    best_start: float = -1.0
    length_rsi: float = 0.0
    length_start: float = 0.0
    stale: int = 0
    reference_return: float = -1.0
    taught: int = 0
    missing: list[float] = field(default_factory=list)
