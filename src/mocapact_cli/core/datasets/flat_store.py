"""Rollouts laid flat: the needed columns of all episodes one under the other, memory-mapped, ready to be gathered.

Rollout files hold 2,868 columns a row in as many arrays as there are episodes, of which a policy sees a part. What is
needed is copied out once. Every episode takes T + 1 rows in all arrays alike, so that one row number finds the
observation and what belongs to it; the last row of actions, rewards, values and advantages is zero.

A copy lies in a folder of its own below `MOCAPACT_HOME/cache/datasets`, named after the content of the files and what
was taken from it. When a file changes, the name does, and the old copy goes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.datasets import schema
from mocapact_cli.core.datasets.digests import file_digests
from mocapact_cli.core.datasets.disk_file import interrupts_after
from mocapact_cli.core.datasets.reader import RolloutFile
from mocapact_cli.core.errors import InvalidInputError, RunError
from mocapact_cli.core.json_files import write_json
from mocapact_cli.core.paths import cache_dir
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.safe import h5

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from mocapact_cli.core.datasets.scan import DatasetScan, ScannedEpisode

    Float32Array = NDArray[np.float32]

FORMAT = 1
_META = "meta.json"
_ABANDONED = 3600.0
"""Seconds after which an unfinished copy that nobody touched is garbage."""
_SCALARS = ("rewards", "values", "advantages")


@dataclass(frozen=True)
class Request:
    """What is laid flat.

    Attributes:
        scan: The episodes.
        views: Name -> columns (C,) of the proprioceptive observations, in the order in which they are wanted.
        actions: Which actions, `actions` or `mean_actions`.
    """

    scan: DatasetScan
    views: Mapping[str, NDArray[np.int64]]
    actions: str

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name of every array -> its shape."""
        rows = sum(episode.length + 1 for episode in self.scan.episodes)
        views = {f"view{number}": (rows, len(columns)) for number, columns in enumerate(self.views.values())}
        return views | {"actions": (rows, self.scan.act_size)} | dict.fromkeys(_SCALARS, (rows,))

    def bytes(self) -> int:
        """Size of everything in bytes."""
        return sum(4 * int(np.prod(shape, dtype=np.int64)) for shape in self.shapes().values())

    def record(self, digests: list[str]) -> dict[str, Any]:
        """What decides the content, as JSON."""
        episodes = json.dumps([(episode.file, episode.group) for episode in self.scan.episodes])
        return {
            "format": FORMAT,
            "files": digests,
            "episodes": hashlib.sha256(episodes.encode()).hexdigest(),
            "views": [columns.tolist() for columns in self.views.values()],
            "actions": self.actions,
        }


class FlatStore:
    """Arrays of N rows, mapped from the disk or in memory.

    Attributes:
        views: Name -> observations (N, C).
        actions: (N, A).
        rewards: (N,).
        values: (N,).
        advantages: (N,).
        folder: Where the arrays lie; None in memory.
    """

    def __init__(self, request: Request, arrays: Mapping[str, Float32Array], folder: Path | None) -> None:
        self._request = request
        self.folder = folder
        self.views = {name: arrays[f"view{number}"] for number, name in enumerate(request.views)}
        self.actions = arrays["actions"]
        self.rewards, self.values, self.advantages = (arrays[name] for name in _SCALARS)

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapped array would be pickled with all that it holds; a worker process maps it again.
        if self.folder is None:
            return _in_memory, (self._request, self._arrays())
        return _mapped, (self._request, self.folder)

    def _arrays(self) -> dict[str, Float32Array]:
        named = {f"view{number}": view for number, view in enumerate(self.views.values())}
        return named | {"actions": self.actions} | {name: getattr(self, name) for name in _SCALARS}


def open_store(
    request: Request, *, folder: Path | None = None, in_memory: bool = False, progress: Progress | None = None
) -> FlatStore:
    """Open the flat copy of what is requested; it is made where there is none.

    Args:
        request: What is wanted.
        folder: Of all copies; default `MOCAPACT_HOME/cache/datasets`.
        in_memory: Keep the copy in memory and write nothing.
        progress: Told while the copy is made.

    Raises:
        InvalidInputError: A file is damaged, or holds values that are not finite.
        RunError: The copy could not be written.
    """
    progress = progress or NullProgress()
    if in_memory:
        arrays = {name: np.zeros(shape, dtype=np.float32) for name, shape in request.shapes().items()}
        _lay_flat(request, lambda name, row, values: _put(arrays[name], row, values), progress)
        return _in_memory(request, arrays)
    folder = folder or cache_dir() / "datasets"
    record = request.record(file_digests(request.scan.paths, folder, progress))
    place = folder / hashlib.sha256(json.dumps(record).encode()).hexdigest()[:24]
    if not _is_complete(place, request):
        with _cache_errors(folder, request):
            _make(place, request, record, progress)
    return _mapped(request, place)


def _put(array: Float32Array, row: int, values: Float32Array) -> None:
    array[row : row + len(values)] = values


def _in_memory(request: Request, arrays: Mapping[str, Float32Array]) -> FlatStore:
    return FlatStore(request, arrays, None)


def _mapped(request: Request, place: Path) -> FlatStore:
    arrays: dict[str, Any] = {}
    for name, shape in request.shapes().items():
        # An empty file cannot be mapped.
        empty = 0 in shape
        arrays[name] = np.zeros(shape, np.float32) if empty else np.memmap(place / name, np.float32, "r", shape=shape)
    return FlatStore(request, arrays, place)


def _is_complete(place: Path, request: Request) -> bool:
    sizes = {name: 4 * int(np.prod(shape, dtype=np.int64)) for name, shape in request.shapes().items()}
    try:
        return (place / _META).is_file() and all((place / name).stat().st_size == size for name, size in sizes.items())
    except OSError:
        return False


def _make(place: Path, request: Request, record: Mapping[str, Any], progress: Progress) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    _sweep(place.parent)
    _need_space(place.parent, request.bytes())
    temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".partial", dir=place.parent))
    try:
        with contextlib.ExitStack() as stack:
            files = {name: stack.enter_context((temporary / name).open("wb")) for name in request.shapes()}
            # Rows come in order, so they are appended; writing through a map would crash on a full disk.
            _lay_flat(request, lambda name, _, values: _append(files[name], values), progress)
        paths = [str(path.absolute()) for path in request.scan.paths]
        write_json(temporary / _META, {**record, "paths": paths})
        _name(temporary, place, request)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _drop_outdated(place, paths, record)


def _append(file: Any, values: Float32Array) -> None:
    file.write(np.ascontiguousarray(values, dtype=np.float32).data)


def _name(temporary: Path, place: Path, request: Request) -> None:
    """Give the copy its name, unless another process was faster: it may be reading its own already."""
    with contextlib.suppress(OSError):
        temporary.rename(place)
    if not _is_complete(place, request):
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(OSError):
            temporary.rename(place)


def _drop_outdated(place: Path, paths: list[str], record: Mapping[str, Any]) -> None:
    """Delete copies of the same files with other content: they will never be asked for again."""
    for meta in place.parent.glob(f"*/{_META}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            other = json.loads(meta.read_text(encoding="utf-8"))
            if other["paths"] == paths and (other["files"], other["format"]) != (record["files"], record["format"]):
                shutil.rmtree(meta.parent, ignore_errors=True)


def _lay_flat(request: Request, put: Callable[[str, int, Float32Array], None], progress: Progress) -> None:
    """Read the episodes one by one and hand on their rows: `put(name, first row, values)`."""
    episodes, row = request.scan.episodes, 0
    with progress.task("Laying the dataset flat", total=len(episodes), unit="episodes") as task:
        for path, group, episode in _opened(request.scan):
            # Ctrl-C inside h5py's own callbacks would be lost.
            with interrupts_after(), h5.damage_named(path):
                for name, values in _flat_arrays(request, group, episode).items():
                    put(name, row, values)
            row += episode.length + 1
            task.advance()


def _opened(scan: DatasetScan) -> Iterator[tuple[Path, Any, ScannedEpisode]]:
    """Yield each episode with its file and group; one file is open at a time."""
    for number, path in enumerate(scan.paths):
        with RolloutFile(path) as file:
            for episode in (episode for episode in scan.episodes if episode.file == number):
                yield path, file.handle[episode.group], episode


def _flat_arrays(request: Request, group: Any, episode: ScannedEpisode) -> dict[str, Float32Array]:
    observations = _read(group, schema.PROPRIOCEPTIVE, episode.length + 1)
    arrays = {f"view{number}": observations[:, columns] for number, columns in enumerate(request.views.values())}
    arrays["actions"] = _read(group, request.actions, episode.length)
    arrays |= {name: _read(group, name, episode.length) for name in _SCALARS}
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            stored = {"actions": request.actions}.get(name, schema.PROPRIOCEPTIVE if name.startswith("view") else name)
            raise InvalidInputError(
                f"{episode.group}: {stored} holds values that are not finite.",
                hint="Leave that snippet out (clip_ids, --clips); `mocapact inspect --values` names all such places.",
            )
    return {name: _padded(values, episode.length + 1) for name, values in arrays.items()}


def _read(group: Any, path: str, rows: int) -> Float32Array:
    array = h5.dataset(group, path)
    if len(array.shape) < 1 or array.shape[0] != rows or array.size > h5.SMALL_ARRAY:
        raise InvalidInputError(f"{array.name} has shape {array.shape}; its first size should be {rows}.")
    return np.asarray(array[()], dtype=np.float32)


def _padded(values: Float32Array, rows: int) -> Float32Array:
    missing = rows - len(values)
    return np.concatenate([values, np.zeros((missing, *values.shape[1:]), np.float32)]) if missing else values


def _sweep(folder: Path) -> None:
    """Delete what killed processes left; one that is at work touches its files all the time."""
    for left in folder.glob(".*.partial"):
        with contextlib.suppress(OSError):
            if time.time() - max(path.stat().st_mtime for path in [left, *left.iterdir()]) > _ABANDONED:
                shutil.rmtree(left, ignore_errors=True)


def _need_space(folder: Path, size: int) -> None:
    """Say so before hours of copying where it cannot end well."""
    if size > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, "the disk is full")


@contextlib.contextmanager
def _cache_errors(folder: Path, request: Request) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        size = f"{request.bytes() / 1e6:,.0f} MB"
        raise RunError(
            f"The flat copy of the dataset ({size}) could not be written to {folder}: {reason}.",
            hint="Make room there, move it with MOCAPACT_HOME, or keep the copy in memory (in_memory=True).",
        ) from error
