"""Where mocapact keeps its files, and how it writes them: to a temporary name beside, synced, then renamed."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME_VARIABLE = "MOCAPACT_HOME"
FOLDER_ENDING = ".partial-folder"
"""Ending of a folder that is being filled."""

_JSON_LIMIT = 1 << 26
_LEFT = re.compile(r"\..+\.[0-9a-f]{8}\.partial|\..*(\.\w+)\.[0-9a-f]{8}\1")
"""Names of the temporary files of `atomic_write`: with its own ending, or with that of the file itself."""


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
        NotFoundError: Nothing is there, or it is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise NotFoundError(f"{path} is a folder, not a file.")
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist.", hint="Check the path.")
    return path


def existing_files(named: object) -> list[Path]:
    """Return the files of a list in a record that still exist; none where the record has no such list."""
    found = [Path(path) for path in named if isinstance(path, str)] if isinstance(named, list) else []
    return [path for path in found if path.is_file()]


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


@contextlib.contextmanager
def atomic_write(path: Path | str, *, suffix: str = "") -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces `path` once it has been written in full.

    The caller writes the yielded (already existing, empty) file. On success it is synced to disk and renamed; on any
    exception, Ctrl-C included, it is removed and `path` stays as it was. Missing parent folders are created.

    Args:
        path: The final file.
        suffix: Ending of the temporary name, for writers that go by the extension (such as `.mp4`).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path, suffix or ".partial")
    try:
        with errors_name(path, instead_of=temporary):
            # Inside, because an interrupt right after it must find it, too.
            temporary.touch(mode=0o600, exist_ok=False)
            yield temporary
            _give_usual_mode(temporary)
            _sync(temporary)
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):
        _sync(path.parent)


def sweep(folder: Path | str) -> None:
    """Delete the temporary files of `atomic_write` that killed processes have left in a folder or below.

    Nothing may be writing there.
    """
    for path in Path(folder).rglob(".*"):
        if _LEFT.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def _beside(path: Path, ending: str) -> Path:
    """Return a name in the same folder that nothing has."""
    return path.parent / f".{path.name}.{secrets.token_hex(4)}{ending}"


@contextlib.contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """Yield a new folder beside `path`, which takes the place of `path` once the block has filled it.

    On any exception, Ctrl-C included, it is removed with all that is in it, and `path` stays as it was. A folder that
    was at `path` goes only when the new one is complete. What a killed process has left behind is swept up.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*{FOLDER_ENDING}"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = _beside(path, FOLDER_ENDING)
    try:
        with errors_name(path, instead_of=temporary):
            temporary.mkdir()
            yield temporary
            for written in temporary.rglob("*"):
                _sync(written)
            _replace_folder(path, temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    with contextlib.suppress(OSError):
        _sync(path.parent)


def _replace_folder(path: Path, by: Path) -> None:
    if not path.exists():
        by.rename(path)
        return
    # Two renames with nothing between them that takes time; the old folder is deleted after both.
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=FOLDER_ENDING, dir=path.parent))
    path.rename(old)
    try:
        by.rename(path)
    except BaseException:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def errors_name(path: Path | str, *, instead_of: Path | None = None) -> Iterator[None]:
    """Give errors of the operating system inside the block the name of the file, where they have none.

    A failed write has none by itself: a full disk would not say where.

    Args:
        path: The name.
        instead_of: Another name that is replaced by it, as are names inside it.
    """
    try:
        yield
    except OSError as error:
        name = error.filename
        if name is None or (instead_of and isinstance(name, str) and _is_in(Path(name), instead_of)):
            error.filename = str(path)
        raise


def _is_in(path: Path, folder: Path) -> bool:
    """Whether a path is `folder` or inside it, however the two are written."""
    return path.absolute().is_relative_to(folder.absolute())


def write_text(path: Path | str, text: str) -> Path:
    """Write `text` (UTF-8) to `path` atomically and return the path."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: Path | str, value: Any) -> Path:
    """Write `value` to `path` atomically as indented JSON that ends with a newline, and return the path."""
    return write_text(path, json.dumps(value, indent=2, default=jsonable) + "\n")


def read_json_object(path: Path, *, hint: str = "") -> dict[str, Any]:
    """Return the JSON object in a file.

    Args:
        path: The file.
        hint: What to say where it does not exist.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is not JSON, or not an object.
    """
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist.", hint=hint)
    if path.stat().st_size > _JSON_LIMIT:
        raise InvalidInputError(f"{path} is too large for what it should be.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise InvalidInputError(f"{path} is not a JSON object.")
    return found


def jsonable(value: Any) -> Any:
    """Turn paths and NumPy scalars and arrays into what JSON knows, for `json.dumps(default=...)`.

    Raises:
        TypeError: The value is neither.
    """
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _give_usual_mode(path: Path, mode: int = 0o666) -> None:
    """Undo the owner-only mode of temporary names: the file gets the permissions that `open` would have given it."""
    umask = os.umask(0)
    os.umask(umask)
    with contextlib.suppress(OSError):
        path.chmod(mode & ~umask)


def _sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
