"""What every training run leaves beside its models: configuration, versions and metrics."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mocapact_cli.core import atomic, json_files
from mocapact_cli.core.config import from_dict
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError, naming_os_errors
from mocapact_cli.core.interop.run_files import CHECKPOINTS, CONFIG, METRICS, VERSIONS
from mocapact_cli.core.json_lines import json_object
from mocapact_cli.core.processors import available_threads
from mocapact_cli.core.training.tracking import NullTracker, Tracker

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    C = TypeVar("C", bound=DataclassInstance)
else:
    C = TypeVar("C")

_RUN = (CONFIG, "eval_rsi", "eval_start")
"""What shows that a folder holds a run; published experts have no configuration."""
_PACKAGES = (
    "mocapact",
    "mujoco",
    "dm_control",
    "torch",
    "stable-baselines3",
    "pytorch-lightning",
    "gymnasium",
    "numpy",
    "scipy",
    "h5py",
)


class RunFolder:
    """A run's folder.

    Args:
        root: The folder.
        tracker: Follows the run.
    """

    def __init__(self, root: Path, tracker: Tracker | None = None) -> None:
        self.root, self.tracker = root, tracker or NullTracker()

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie."""
        return self.root / CHECKPOINTS

    def prepare(self, *, resume: bool, force: bool) -> None:
        """Make the folder ready for a new or a resumed run; what a killed one was writing is swept up.

        Raises:
            UsageError: If a run lies there and neither `resume` nor `force` was given.
        """
        if not resume and any((self.root / name).exists() for name in _RUN):
            if not force:
                raise UsageError(
                    f"{self.root} already holds a run.",
                    hint="Use --resume to continue it, --force to replace it, or another folder.",
                )
            shutil.rmtree(self.root)
        self.root.mkdir(parents=True, exist_ok=True)
        atomic.delete_leftovers(self.root)

    def write_record(self, config: Mapping[str, Any], seed: int, threads: int | None = None) -> None:
        """Write the resolved configuration, and what else its numbers depend on.

        The configuration shows that there is a run, so it comes last: what has one can be resumed.

        Args:
            config: The configuration.
            seed: Of all random choices.
            threads: Of physics and learner; None for all cores.
        """
        cores = available_threads()
        ran_with = {"seed": seed, "cpus": cores, "threads": threads or cores}
        json_files.write_json(self.root / VERSIONS, versions() | ran_with)
        json_files.write_json(self.root / CONFIG, dict(config))

    def read_config(self) -> dict[str, Any]:
        """The configuration of the run that lies here.

        Raises:
            NotFoundError: No run lies here.
            InvalidInputError: Its record is damaged.
        """
        path = self.root / CONFIG
        if not path.is_file():
            raise NotFoundError(f"There is no run to resume in {self.root}.", hint="Leave out --resume to start one.")
        record = json_object(path.read_text(encoding="utf-8", errors="replace"))
        if record is None:
            raise InvalidInputError(f"{path} is damaged.", hint="Start again with --force.")
        return record

    def read_settings(
        self, cls: type[C], changes: Mapping[str, Any], *, complete: Callable[[dict[str, Any]], dict[str, Any]] = dict
    ) -> C:
        """Return the settings of the training that lies here, with some of them changed.

        Args:
            cls: Their class.
            changes: New values by name.
            complete: Adds what records of earlier versions do not say.

        Raises:
            NotFoundError: No run lies here.
            InvalidInputError: Its record is damaged.
            UsageError: A setting is unknown or of the wrong type.
        """
        settings = self.read_config().get("training")
        if not isinstance(settings, dict):
            raise InvalidInputError(f"{self.root} has no record of its settings.", hint="Start again with --force.")
        return from_dict(cls, {**complete(settings), **changes})

    def add_metrics(self, row: Mapping[str, Any]) -> None:
        """Append one line to the metrics."""
        path = self.root / METRICS
        with naming_os_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, allow_nan=False, default=float) + "\n")
        self.tracker.update()

    def metrics(self) -> list[dict[str, Any]]:
        """All metrics so far; a last line that was cut by a crash is left out."""
        path = self.root / METRICS
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [row for row in map(json_object, lines) if row is not None]

    def keep_metrics_until(self, last: int, by: str = "timesteps") -> None:
        """Drop what a run wrote after the checkpoint from which it is now resumed.

        Args:
            last: What the checkpoint had counted.
            by: Under which name the rows count it.
        """
        rows = [row for row in self.metrics() if row[by] <= last]
        atomic.write_text(self.root / METRICS, "".join(json.dumps(row) + "\n" for row in rows))


def versions() -> dict[str, Any]:
    """Versions of Python and of the packages that matter, the source's git commit where there is one, and the host."""
    return {
        "python": sys.version.split()[0],
        "packages": {name: _version(name) for name in _PACKAGES},
        "git": _git_commit(),
        "host": platform.node(),
        "platform": platform.platform(),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
