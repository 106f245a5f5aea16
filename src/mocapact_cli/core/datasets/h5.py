"""Opening HDF5 files that anybody may have written: clear errors, no links that lead elsewhere, no surprise sizes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py
    import numpy as np
    from numpy.typing import NDArray

SMALL_ARRAY = 1 << 24
"""Elements above which an array is not read whole where only a summary is wanted."""

_HDF5_ERRORS = (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError, EOFError)


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
    if not h5py.is_hdf5(path):
        raise InvalidInputError(f"{path} is not an HDF5 file.")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InvalidInputError(f"{path} is damaged: {_first_line(error)}.") from error


@contextlib.contextmanager
def damage_named(path: Path | str) -> Iterator[None]:
    """Turn whatever h5py raises inside the block into one error that names the file."""
    try:
        yield
    except InvalidInputError as error:
        if str(path) in error.message:
            raise
        raise InvalidInputError(f"{path}: {error.message}", hint=error.hint) from error
    except _HDF5_ERRORS as error:
        raise InvalidInputError(f"{path} is damaged: {_first_line(error)}.") from error


def find(group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset | None:
    """Return what `path` names below `group`, following hard links only; None where nothing is there.

    Raises:
        InvalidInputError: A link leads out of the file, or an array is stored outside it.
    """
    import h5py

    item: Any = group
    for part in path.split("/"):
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
        InvalidInputError: It is missing or is not an array.
    """
    import h5py

    item = find(group, path)
    if not isinstance(item, h5py.Dataset):
        raise InvalidInputError(
            f"{group.name.rstrip('/')}/{path} {'is missing' if item is None else 'is not an array'}."
        )
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
    return np.asarray(array[()])


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
