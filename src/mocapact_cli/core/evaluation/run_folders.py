"""What folders of training runs record, ours and the published ones of distilled and transferred policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.evaluation.report import EVALUATIONS_FILE
from mocapact_cli.core.interop.run_files import CHECKPOINTS, CONFIG, FLAGS, METRICS, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

Facts = dict[str, Any]
RUN_FILES = (CONFIG, VERSIONS, METRICS, FLAGS)
"""Any of these makes a folder one of a run."""
_MODEL_FILES = ("*.ckpt", "*.pt", "*.zip")
_DEPTH = 3
_TEXT_LIMIT = 1 << 20
_TAIL = 1 << 20


def is_run(path: Path) -> bool:
    """Whether a folder is one of a run."""
    return any((path / name).is_file() for name in RUN_FILES)


def find_runs(path: Path) -> list[Path]:
    """Return the folders of runs in a folder and those below it, by name; nothing below a run is looked at."""
    return list(_runs(path, _DEPTH))


def _runs(path: Path, depth: int) -> Iterator[Path]:
    if is_run(path):
        yield path
    elif depth:
        for item in sorted(path.iterdir()):
            if item.is_dir() and not item.is_symlink() and not item.name.startswith("."):
                yield from _runs(item, depth - 1)


def run_facts(path: Path) -> Facts:
    """Return what a run folder records: settings, versions, the last metrics, checkpoints.

    Raises:
        InvalidInputError: One of its JSON files is damaged.
    """
    facts: Facts = {name: value for name in ("config", "versions") if (value := _read_json(path / f"{name}.json"))}
    last, flags = _last_line(path / METRICS), _read_flags(path / FLAGS)
    facts |= ({"last_metrics": last} if last else {}) | ({"flags": flags} if flags else {})
    return facts | {"checkpoints": _checkpoints(path)}


def evaluation_files(path: Path) -> list[Path]:
    """Return the histories of evaluations below a run, by name."""
    return sorted(path.rglob(EVALUATIONS_FILE))


def _checkpoints(path: Path) -> list[str]:
    folder = path / CHECKPOINTS
    if folder.is_dir():
        return sorted(item.name for item in folder.iterdir())
    found = {item.relative_to(path).as_posix() for pattern in _MODEL_FILES for item in path.rglob(pattern)}
    return sorted(found)


def _read_flags(path: Path) -> list[str]:
    """Return the flags of a published run, one `--name=value` each."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", errors="replace") as file:
        return [line.strip() for line in file.read(_TEXT_LIMIT).splitlines() if line.strip()]


def _read_json(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"{path} is not JSON: {error}.") from error


def _last_line(path: Path) -> Any:
    """Return the last whole record of a JSON-lines file; a run may be writing the next one."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL, 0))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    for line in reversed(lines):
        try:
            return json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            continue
    return None
