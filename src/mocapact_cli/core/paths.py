"""Where mocapact keeps its files, and whether a path that was given can be read or written."""

from __future__ import annotations

import os
from pathlib import Path

from mocapact_cli.core.errors import NotFoundError, UsageError

HOME_VARIABLE = "MOCAPACT_HOME"


def home() -> Path:
    """Return the folder of all data, caches and runs: `$MOCAPACT_HOME`, else the platform's user data folder."""
    configured = os.environ.get(HOME_VARIABLE)
    if configured:
        return Path(configured).expanduser()
    import platformdirs

    return platformdirs.user_data_path("mocapact", appauthor=False)


def data_dir(kind: str) -> Path:
    """Return the folder of one kind of downloaded or imported data, such as `mocap` or `experts` (it may not exist)."""
    return home() / "data" / kind


def runs_dir(kind: str) -> Path:
    """Return the folder of one kind of run, such as `experts` or `quickstart` (it may not exist)."""
    return home() / "runs" / kind


def cache_dir() -> Path:
    """Return the folder of files that may be deleted at any time and are made again (it may not exist)."""
    return home() / "cache"


def existing_file(path: Path | str) -> Path:
    """Return `path` as a `Path` if it is a file.

    Raises:
        NotFoundError: Nothing is there, or it is a folder, a pipe or a device.
    """
    path = Path(path)
    if path.is_dir():
        raise NotFoundError(f"{path} is a folder, not a file.")
    if path.exists() and not path.is_file():
        raise NotFoundError(f"{path} is a pipe or a device, not a file.", hint="Save what it gives in a file first.")
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist.", hint="Check the path.")
    return path


def existing_files(named: object) -> list[Path]:
    """Return the files of a list in a record that still exist; none where the record has no such list."""
    found = [Path(path) for path in named if isinstance(path, str)] if isinstance(named, list) else []
    return [path for path in found if _is_file(path)]


def _is_file(path: Path) -> bool:
    # A record of somebody else may name what may not be looked at here, or what no path can be.
    try:
        return path.is_file()
    except OSError:
        return False


def check_target(path: Path | str) -> None:
    """See that a file can be written at `path`, before the work whose result is to go there; nothing is made.

    Raises:
        UsageError: It is a folder, or lies in what is no folder that can be written.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", hint="Give the name of a file.")
    folder = next(place for place in path.absolute().parents if place.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(
            f"{path} cannot be written: {folder} is no folder that can be written.", hint="Choose another."
        )
