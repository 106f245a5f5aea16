"""What training by PPO leaves, whatever was learned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mocapact_cli.core.media.curves import CURVE_FILE


@dataclass(frozen=True)
class PpoResult:
    """What training left.

    Attributes:
        root: The run's folder.
        timesteps: Environment steps in all.
        seconds: Wall-clock training time in all.
        stopped_because: Why training ended.
        evaluations: Their rows, as in `metrics.jsonl`.
    """

    root: Path
    timesteps: int
    seconds: float
    stopped_because: str
    evaluations: list[dict[str, Any]]

    model_folder: ClassVar[Path]
    """Where below its folder a run keeps its best model."""

    @property
    def model(self) -> Path:
        """The folder of the best model."""
        return self.root / self.model_folder

    @property
    def curve(self) -> Path | None:
        """The picture of the training; None where it could not be drawn."""
        path = self.root / CURVE_FILE
        return path if path.is_file() else None
