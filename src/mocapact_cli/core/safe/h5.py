"""Opening HDF5 files that anybody may have written: clear errors, no links that lead elsewhere, no surprise sizes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError, NotFoundError, first_line
from mocapact_cli.core.guarded import now_reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = (".h5", ".hdf5")
SMALL_ARRAY = 1 << 24
"""Elements above which an array is not read whole where only a summary is wanted."""

BLOCK_BYTES = 1 << 23
"""About how much of an array is read at once where it is read from end to end."""
_ALWAYS_FINE = 1 << 16
_MAX_RATIO = 2000
"""No honest array is stored in less than its size by this: gzip reaches 1,032."""
_HDF5_ERRORS = (
    *(OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError),
    *(AttributeError, IndexError, OverflowError, ZeroDivisionError),
)


def files_in(folder: Path) -> list[Path]:
    """Return the HDF5 files of a folder by name, without hidden ones."""
    return sorted(item for item in folder.iterdir() if item.suffix in SUFFIXES and not item.name.startswith("."))


def open_h5(path: Path | str) -> h5py.File:
    """Open an HDF5 file for reading.

    Raises:
        NotFoundError: The file does not exist.
        InvalidInputError: It is empty, truncated or not HDF5.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist.", hint="Check the path.")
    if path.stat().st_size == 0:
        raise InvalidInputError(f"{path} is empty.")
    now_reading("the header")
    if not h5py.is_hdf5(path):
        raise InvalidInputError(f"{path} is not an HDF5 file.")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InvalidInputError(f"{path} is damaged: {first_line(error)}.") from error


@contextlib.contextmanager
def damage_named(path: Path | str) -> Iterator[None]:
    """Turn whatever h5py raises inside the block into one error that names the file.

    Raises:
        InvalidInputError: Something was raised that speaks of damage.
    """
    try:
        yield
    except InvalidInputError as error:
        if str(path) in error.message:
            raise
        raise InvalidInputError(f"{path}: {error.message}", hint=error.hint) from error
    except _HDF5_ERRORS as error:
        raise InvalidInputError(f"{path} is damaged: {first_line(error)}.") from error


def find(group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset | None:
    """Return what `path` names below `group`, following hard links only; None where nothing is there.

    Raises:
        InvalidInputError: A link leads out of the file, or an array is stored outside it.
    """
    import h5py

    now_reading(path, inside=group)
    item: Any = group
    for part in path.split("/"):
        with _failures_at(item, part):
            kind = _link_type(item, part) if isinstance(item, h5py.Group) else None
            if kind is None:
                return None
            if kind != h5py.h5l.TYPE_HARD:
                raise InvalidInputError(f"{item.name.rstrip('/')}/{part} is a link to elsewhere, which is refused.")
            item = item[part]
    if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
        raise InvalidInputError(f"{item.name} keeps its data outside the file, which is refused.")
    return item


def _link_type(group: h5py.Group, name: str) -> int | None:
    """Return of which type a link is, None where there is none; several times faster than `Group.get`."""
    links, encoded = group.id.links, name.encode("utf-8", "surrogateescape")
    return int(links.get_info(encoded).type) if links.exists(encoded) else None


def dataset(group: h5py.Group, path: str) -> h5py.Dataset:
    """Return the array that `path` names below `group`.

    Raises:
        InvalidInputError: It is missing, is not an array, or claims to be much larger than what is stored of it.
    """
    import h5py

    item = find(group, path)
    if not isinstance(item, h5py.Dataset):
        raise InvalidInputError(
            f"{group.name.rstrip('/')}/{path} {'is missing' if item is None else 'is not an array'}."
        )
    if item.size is not None and item.size > _ALWAYS_FINE:
        with _failures_at(item):
            check_claim(item)
    return item


def read_small(group: h5py.Group, path: str) -> NDArray[np.generic]:
    """Read a whole array that is small by the layout.

    Raises:
        InvalidInputError: It is missing or claims an absurd size.
    """
    import numpy as np

    array = dataset(group, path)
    if array.size is None or array.size > SMALL_ARRAY:
        raise InvalidInputError(f"{array.name} claims {array.size} values, which is absurd here.")
    with _failures_at(array):
        return np.asarray(array[()])


def check_claim(array: h5py.Dataset) -> None:
    """See that an array is not claimed to be much larger than what is stored of it.

    Raises:
        InvalidInputError: It is, or nothing is stored at all.
    """
    stored = array.id.get_storage_size()
    if array.size and (stored == 0 or array.nbytes > _MAX_RATIO * stored):
        raise InvalidInputError(f"{array.name} claims {array.nbytes} bytes, but {stored} are stored.")


def check_readable(array: h5py.Dataset) -> None:
    """Read an array from end to end.

    Raises:
        InvalidInputError: Something of it cannot be read, or it claims more than is stored.
    """
    check_claim(array)
    for _ in row_blocks(array):
        pass


def row_blocks(array: h5py.Dataset) -> Iterator[NDArray[np.generic]]:
    """Yield the rows of an array in order, some megabytes at a time; a single number is one block.

    Raises:
        InvalidInputError: A single row claims an absurd size.
    """
    import numpy as np

    if not array.shape:
        with _failures_at(array):
            values = np.asarray(array[()])
        yield values
        return
    row = array.nbytes // max(array.shape[0], 1)
    if row > SMALL_ARRAY:
        raise InvalidInputError(f"a row of {array.name} claims {row} bytes, which is absurd here.")
    step = max(1, BLOCK_BYTES // max(row, 1))
    for first in range(0, array.shape[0], step):
        with _failures_at(array):
            block = array[first : first + step]
        yield block


@contextlib.contextmanager
def _failures_at(item: h5py.HLObject, name: str = "") -> Iterator[None]:
    """Name the place where HDF5 fails: its own messages do not."""
    try:
        yield
    except InvalidInputError:
        raise
    except _HDF5_ERRORS as error:
        place = f"{str(item.name).rstrip('/')}/{name}" if name else str(item.name)
        raise InvalidInputError(f"{place} is damaged: {first_line(error)}.") from error
