"""What a distillation writes down as it goes: lines of `metrics.jsonl`, and the same for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping

from mocapact_cli.core.training.event_file import EventFile
from mocapact_cli.core.training.run_folder import RunFolder


class Records:
    """The metrics of a run; the event file is made with the first of them.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._events: EventFile | None = None

    def losses(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Add what gradient steps have shown."""
        self._add(step, seconds, values, {name: name.replace("_", "/", 1) for name in values})

    def scores(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Add what evaluations have shown."""
        self._add(step, seconds, values, {name: f"eval/{name}" for name in values})

    def close(self) -> None:
        """Close the event file."""
        if self._events is not None:
            self._events.close()

    def _add(self, step: int, seconds: float, values: Mapping[str, float], tags: Mapping[str, str]) -> None:
        self._folder.add_metrics({"step": step, "seconds": round(seconds, 2), **values})
        self._events = self._events or EventFile(self._folder.root / "tensorboard")
        self._events.add({tags[name]: value for name, value in values.items()}, step)
