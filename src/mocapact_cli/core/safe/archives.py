"""Reading zip archives that anybody may have written: damage and absurd sizes become one clear error."""

from __future__ import annotations

import contextlib
import errno
import io
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

MEMBER_LIMIT = 1 << 33
_HEADER_LIMIT = 10_000
_DAMAGE = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError, OverflowError)


@contextlib.contextmanager
def open_zip(path: Path | str) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive for reading.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It, or what is read from it inside the block, is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist.", hint="Check the path.")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _DAMAGE as error:
        raise InvalidInputError(f"{path} is damaged: {str(error).rstrip('.') or type(error).__name__}.") from error
    except OSError as error:
        # A forged table of contents makes zipfile seek to where no file can be.
        if error.errno != errno.EINVAL:
            raise
        raise InvalidInputError(f"{path} is damaged: its table of contents is wrong.") from error


def read_member(archive: zipfile.ZipFile, name: str, *, limit: int = MEMBER_LIMIT) -> bytes:
    """Return a member's bytes.

    Raises:
        InvalidInputError: It is missing or larger than `limit`.
    """
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise InvalidInputError(f"{archive.filename} is damaged or of another kind: it has no {name}.") from error
    if info.file_size > limit:
        raise InvalidInputError(f"{archive.filename}: {name} claims {info.file_size} bytes, which is refused.")
    return archive.read(info)


def read_npz(path: Path | str) -> Mapping[str, NDArray[np.generic]]:
    """Read all plain arrays of an npz file; arrays of Python objects are left out.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged.
    """
    with open_zip(path) as archive:
        members = {Path(name).stem: name for name in archive.namelist() if name.endswith(".npy")}
        arrays = {name: npy_array(read_member(archive, member)) for name, member in members.items()}
    return {name: array for name, array in arrays.items() if array is not None}


def npy_array(content: bytes) -> NDArray[np.generic] | None:
    """Return the array in npy format, or None for an array of Python objects.

    Raises:
        ValueError: It is damaged.
    """
    file = io.BytesIO(content)
    if npy_header(file)[1].hasobject:
        return None
    import numpy as np

    file.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False, max_header_size=_HEADER_LIMIT)
    return array


def npy_header(file: io.BytesIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read an npy header and return shape and type; `file` then stands at the data.

    Raises:
        ValueError: It is damaged.
    """
    from numpy.lib import format as npy

    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(file)
    if version not in readers:
        raise ValueError(f"npy version {version} is unknown")
    shape, _, dtype = readers[version](file, max_header_size=_HEADER_LIMIT)
    return shape, dtype
