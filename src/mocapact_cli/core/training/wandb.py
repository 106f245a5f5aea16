"""Following a training with Weights & Biases: settings, every line of the metrics, the result and the pictures.

The run's folder remembers the id of its W&B run and how many lines went there, so that a run that goes on, in whatever
process, is continued there, too, without a line missing or twice. Whatever fails is said once, and training goes on.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import MocapactError, first_line
from mocapact_cli.core.interop.extras import require
from mocapact_cli.core.interop.run_files import CONFIG, VERSIONS
from mocapact_cli.core.json_files import read_json_object, write_json
from mocapact_cli.core.remote.http import is_offline
from mocapact_cli.core.remote.secrets import redact
from mocapact_cli.core.training.tracking import MetricsReader, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

NOTE = "wandb.json"
PROJECT = "mocapact"
_STEPS = ("timesteps", "step")
"""What a line of the metrics counts by; pictures of curves have it below."""
_BEGIN_S, _END_S = 30.0, 120.0


class WandbTracker:
    """Follows one run with W&B; `WANDB_MODE`, `WANDB_PROJECT` and its other variables hold.

    Args:
        warn: Told once, if it fails.

    Raises:
        MissingDependencyError: The package is not installed.
    """

    def __init__(self, warn: Callable[[str], object]) -> None:
        self._wandb: Any = require("wandb", purpose="runs with --wandb", extra="wandb")
        self._warn = warn
        self._run: Any = None
        self._root: Path | None = None
        self._reader: MetricsReader | None = None
        self._axis = ""

    def begin(self, root: Path) -> None:
        """Open the W&B run of a run, the same one if it goes on, and send what it has already."""
        self._root = root
        self._safely(self._begin)
        self.update()

    def update(self) -> None:
        """Send the lines that were added to the metrics."""
        self._safely(self._send)

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Send the pictures in the run's folder and its result, and close the W&B run.

        Args:
            summary: The result; None for a training that failed.
        """
        self.update()
        self._safely(lambda: self._finish(summary))
        self._run = None

    def _safely(self, act: Callable[[], None]) -> None:
        if self._root is None or (self._run is None and act != self._begin):
            return
        try:
            act()
        except Exception as error:  # noqa: BLE001 - nothing that happens there is worth a training
            self._run = None
            reason = redact(first_line(error))
            self._warn(f"W&B no longer follows this run: {reason}. Training goes on; {self._root} has all of it.")

    def _begin(self) -> None:
        root = self._opened
        known = _note(root)
        self._reader = MetricsReader(root, known["rows"])
        # Without a key it asks for one at a terminal, unless it is silent.
        self._wandb.setup(self._wandb.Settings(silent=True))
        record = read_json_object(root / CONFIG)
        self._run = self._wandb.init(
            id=known["id"],
            resume="allow",
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=os.environ.get("WANDB_NAME") or "/".join(root.absolute().parts[-2:]),
            job_type=record.get("kind"),
            config={**record, "versions": read_json_object(root / VERSIONS)},
            dir=str(root),
            mode=None if "WANDB_MODE" in os.environ or not is_offline() else "offline",
            settings=self._wandb.Settings(
                silent=True, console="off", init_timeout=_BEGIN_S, finish_timeout=_END_S, disable_git=True
            ),
        )
        write_json(root / NOTE, known)

    def _send(self) -> None:
        assert self._reader is not None
        rows = self._reader.new()
        for number, row in rows:
            if not self._axis:
                self._axis = next((name for name in _STEPS if name in row), "_step")
                self._run.define_metric("*", step_metric=self._axis)
            self._run.log(plain(row), step=number)
        if rows:
            write_json(self._opened / NOTE, {"id": self._run.id, "rows": self._reader.seen})

    def _finish(self, summary: Mapping[str, Any] | None) -> None:
        assert self._reader is not None
        pictures = {path.stem: self._wandb.Image(str(path)) for path in sorted(self._opened.glob("*.png"))}
        if summary is not None and pictures:
            self._run.log(pictures, step=self._reader.seen)
        self._run.summary.update(plain(summary or {}))
        self._run.finish(exit_code=0 if summary is not None else 1)

    @property
    def _opened(self) -> Path:
        assert self._root is not None
        return self._root


def _note(root: Path) -> dict[str, Any]:
    """The id of the W&B run and how many lines went there; a new id where nothing is known."""
    try:
        found = read_json_object(root / NOTE)
    except (MocapactError, OSError):
        found = {}
    if isinstance(found.get("id"), str) and isinstance(found.get("rows"), int):
        return {"id": found["id"], "rows": found["rows"]}
    return {"id": secrets.token_hex(4), "rows": 0}
