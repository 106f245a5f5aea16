"""Following a training from outside: the interface, and the reader of a run's growing metrics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from mocapact_cli.core.interop.run_files import METRICS
from mocapact_cli.core.json_lines import json_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Tracker(Protocol):
    """Follows one run. A failure of its own must not stop the run; what it raises on purpose does."""

    def begin(self, root: Path) -> None:
        """A run begins or goes on; its record lies in its folder."""

    def update(self) -> None:
        """Lines were added to the run's metrics."""


class NullTracker:
    """A tracker that follows nothing: the default of every training."""

    def begin(self, root: Path) -> None:
        """Do nothing."""

    def update(self) -> None:
        """Do nothing."""


class MetricsReader:
    """Reads the lines of a run's metrics as they are added, each once.

    A run that was killed goes on from its last checkpoint: what it had written after that is taken back, and written
    again. As it follows the same curve, lines are known by their number.

    Args:
        root: The run's folder.
        seen: Lines that were read before.

    Attributes:
        seen: Lines that were read so far.
    """

    def __init__(self, root: Path, seen: int = 0) -> None:
        self._path, self.seen = root / METRICS, seen
        self._number = self._position = 0
        self._last = b""

    def new(self) -> list[tuple[int, dict[str, Any]]]:
        """Return the lines that were not read before, each with its number; a half-written one is left for later."""
        if not self._path.exists():
            return []
        found = []
        with self._path.open("rb") as file:
            self._take_up(file)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._position, self._last = self._position + len(line), line
                if self._number >= self.seen and (row := json_object(line)) is not None:
                    found.append((self._number, row))
                self._number += 1
        self.seen = max(self.seen, self._number)
        return found

    def _take_up(self, file: BinaryIO) -> None:
        """Go to the end of what was read; where the line before it is another one, lines were taken back."""
        file.seek(self._position - len(self._last))
        if file.read(len(self._last)) != self._last:
            self._number = self._position = 0
            self._last = b""
            file.seek(0)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document as plain JSON values, paths as texts, without what is None at its top."""
    from mocapact_cli.core.json_files import jsonable

    found: dict[str, Any] = json.loads(json.dumps(dict(values), default=jsonable))
    return {name: value for name, value in found.items() if value is not None}
