"""dm_control's mocap HDF5, read and written as what it is: plain arrays and attributes.

`/<clip>` has the attributes dt, num_steps, year, month and day, and the groups `walkers/walker_0` and `props`.
The walker's arrays are float64, one column a pose.
"""

from __future__ import annotations

import contextlib
import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.clips.clip import ARRAYS, Clip, FloatArray
from mocapact_cli.core.clips.recordings import import_hint, is_recording
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError, did_you_mean, first_line
from mocapact_cli.core.formatting import quoted
from mocapact_cli.core.paths import existing_file
from mocapact_cli.core.safe import h5

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import h5py

WALKER_MODEL = 4
"""`CMU_2020` in dm_control's enumeration of walker models."""

_WALKER = "walkers/walker_0"
_DAMAGED = "It may be truncated: copy, download or import it again."
_ROWS: dict[str, tuple[int, ...]] = {
    "position": (3,), "quaternion": (4,), "joints": (56,), "velocity": (3,), "angular_velocity": (3,),
    "joints_velocity": (56,), "center_of_mass": (3,), "end_effectors": (4, 3), "appendages": (5, 3),
    "body_positions": (-1, 3), "body_quaternions": (-1, 4),
}  # fmt: skip


def array_path(clip_id: str, name: str) -> str:
    """Return where a file keeps an array of a clip, one of `ARRAYS`."""
    return f"{clip_id}/{_WALKER}/{name}"


class MocapFile:
    """A mocap HDF5 file; every call opens it and reads only what it needs.

    Args:
        path: The file.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It is not a mocap HDF5 file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = existing_file(path)

    @cached_property
    def _clip_ids(self) -> tuple[str, ...]:
        with self._open() as file:
            ids = tuple(sorted(file))
            if not ids:
                raise InvalidInputError(f"{self.path} holds no clips: it is an empty HDF5 file.")
            first: Any = h5.find(file, ids[0])
            if not hasattr(first, "keys") or "dt" not in first.attrs or "walkers" not in first:
                raise InvalidInputError(
                    f"{self.path} is an HDF5 file, but not one of motion capture: {ids[0]!r} is not a clip."
                )
            return ids

    def ids(self) -> tuple[str, ...]:
        """Clip ids in alphabetical order."""
        return self._clip_ids

    def num_steps(self, clip_id: str) -> int:
        """Number of poses of a clip, read from its attributes alone.

        Raises:
            NotFoundError: The file has no such clip.
        """
        self._require(clip_id)
        with self._open() as file:
            return int(self._group(file, clip_id).attrs["num_steps"])

    def table(self) -> dict[str, tuple[int, float]]:
        """Number of poses and seconds between them for every clip, read from the attributes alone and then kept."""
        return dict(self._table)

    @cached_property
    def _table(self) -> dict[str, tuple[int, float]]:
        ids = self.ids()
        with self._open() as file:
            attributes = {key: self._group(file, key).attrs for key in ids}
            return {key: (int(found["num_steps"]), float(found["dt"])) for key, found in attributes.items()}

    def get(self, clip_id: str) -> Clip:
        """Read one clip.

        Raises:
            NotFoundError: The file has no such clip.
            InvalidInputError: Its arrays are missing, of the wrong shape or not finite.
        """
        self._require(clip_id)
        with self._open() as file:
            group = self._group(file, clip_id)
            steps, dt = int(group.attrs["num_steps"]), float(group.attrs["dt"])
            if steps < 2 or not 0.0 < dt < float("inf"):
                raise InvalidInputError(f"{clip_id} in {self.path} has {steps} poses at dt {dt:g}.")
            return Clip(clip_id, dt, **{name: self._array(group, clip_id, name, steps) for name in ARRAYS})

    def _group(self, file: h5py.File, clip_id: str) -> h5py.Group:
        found = h5.find(file, clip_id)
        if found is None or not hasattr(found, "keys"):
            raise InvalidInputError(f"{self.path}: {clip_id} is not a clip.")
        return found

    def _array(self, clip: h5py.Group, clip_id: str, name: str, steps: int) -> FloatArray:
        stored = h5.dataset(clip, f"{_WALKER}/{name}")
        shape = _ROWS[name]
        bodies = stored.shape[0] // shape[1] if -1 in shape and stored.shape else 1
        if stored.shape != (bodies * abs(int(np.prod(shape))), steps):
            raise InvalidInputError(
                f"{clip_id} in {self.path}: {name} has shape {stored.shape}, which does not fit {steps} poses."
            )
        values = np.ascontiguousarray(stored[()].astype(np.float64).T).reshape(steps, *shape)
        if not np.isfinite(values).all():
            raise InvalidInputError(f"{clip_id} in {self.path}: {name} holds values that are not finite.")
        return values

    def _require(self, clip_id: str) -> None:
        if clip_id not in self.ids():
            listing = f"Run `mocapact clips list --mocap {quoted(self.path)}` for its clips."
            hint = did_you_mean(clip_id, self.ids()) or listing
            raise NotFoundError(f"{self.path} has no clip {clip_id!r}.", hint=hint)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        import h5py

        try:
            with h5py.File(self.path, "r") as file:
                yield file
        except InvalidInputError as error:
            if str(self.path) in error.message:
                raise
            raise InvalidInputError(f"{self.path}: {error.message}", hint=_DAMAGED) from error
        except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, OverflowError) as error:
            if isinstance(error, PermissionError):
                raise
            if is_recording(self.path):
                raise InvalidInputError(
                    f"{self.path} is a recording, not a file of clips.", hint=import_hint(self.path)
                ) from error
            raise InvalidInputError(
                f"{self.path} is not a readable mocap HDF5 file: {first_line(error)}.",
                hint=_DAMAGED,
            ) from error


def write_clips(
    path: Path | str,
    clips: Iterable[Clip],
    *,
    append: bool = False,
    force: bool = False,
    date: datetime.date | None = None,
) -> None:
    """Write clips to a mocap HDF5 file, atomically: an interrupted write leaves what was there.

    Args:
        path: The file.
        append: Add to the clips that the file holds already.
        force: Replace an existing file or, with `append`, clips of the same id.
        date: Stored with each clip; today by default.

    Raises:
        UsageError: The file exists and neither `append` nor `force` is given, or a clip of that id is in it.
    """
    path = Path(path)
    check_target(path, append=append, force=force)
    image = _file_image(path if append and path.exists() else None, path, clips, date or datetime.date.today(), force)
    with atomic_write(path, suffix=".h5") as temporary:
        try:
            temporary.write_bytes(image)
        except OSError as error:
            error.filename = str(path)
            raise


def _file_image(existing: Path | None, path: Path, clips: Iterable[Clip], date: datetime.date, force: bool) -> bytes:
    """The file's bytes, put together in memory: HDF5 crashes the process where a full disk interrupts its writing."""
    import h5py

    # The core driver reads an existing file into memory and, without a backing store, never touches the disk again.
    name, mode = (existing, "r+") if existing else (path, "w")
    with h5py.File(name, mode, driver="core", backing_store=False) as file:
        for clip in clips:
            _make_room(file, clip.id, path, force=force)
            _write_clip(file, clip, date)
        file.flush()
        image: bytes = file.id.get_file_image()
        return image


def check_target(path: Path, *, append: bool = False, force: bool = False, ids: Sequence[str] = ()) -> None:
    """Refuse a target that a later `write_clips` would refuse, before any work is done.

    Args:
        ids: Clips that will be written, where they are known.

    Raises:
        UsageError: The file exists and neither `append` nor `force` is given, or holds one of `ids`.
        InvalidInputError: `append` to a file that is not mocap data.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", hint=f"Name a file, such as {path / 'clips.h5'}.")
    if path.parent.exists() and not path.parent.is_dir():
        raise UsageError(f"{path.parent} is not a folder.")
    if not path.exists():
        return
    if not append and not force:
        raise UsageError(f"{path} already exists.", hint="Add to it with --append or replace it with --force.")
    if append:
        held = MocapFile(path).ids()
        for clip_id in [] if force else ids:
            if clip_id in held:
                raise _already_held(path, clip_id)


def _already_held(path: Path, clip_id: str) -> UsageError:
    hint = "Replace it with --force, or name the new one with --id."
    return UsageError(f"{path} already holds {clip_id}.", hint=hint)


def _make_room(file: Any, clip_id: str, path: Path, *, force: bool) -> None:
    if clip_id not in file:
        return
    if not force:
        raise _already_held(path, clip_id)
    del file[clip_id]


def _write_clip(file: Any, clip: Clip, date: datetime.date) -> None:
    group = file.create_group(clip.id)
    group.attrs.update(
        {"dt": float(clip.dt), "num_steps": clip.num_steps, "year": date.year, "month": date.month, "day": date.day}
    )
    group.create_group("props")
    walker = group.create_group(_WALKER)
    walker.attrs.update({"model": WALKER_MODEL, "mass": 0.0, "name": np.bytes_(clip.id)})
    walker.create_group("markers")
    walker.create_group("scaling")
    for name in ARRAYS:
        columns = np.ascontiguousarray(getattr(clip, name).reshape(clip.num_steps, -1).T)
        walker.create_dataset(name, data=columns, dtype=np.float64, chunks=columns.shape, compression="gzip")
