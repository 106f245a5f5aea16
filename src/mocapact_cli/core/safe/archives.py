"""Reading zip archives that anybody may have written: damage and absurd sizes become one clear error."""

from __future__ import annotations

import contextlib
import errno
import io
import lzma
import struct
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.formatting import shortened, shown
from mocapact_cli.core.guarded import now_reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

_ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(ValueError, EOFError, NotImplementedError, RuntimeError, OverflowError),
)
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
MEMBER_LIMIT = 1 << 33
_ALWAYS_FINE = 1 << 26
_MAX_RATIO = 100
"""No numbers worth keeping are packed into less than a hundredth."""
_HEADER_LIMIT = 10_000
_BLOCK = 1 << 22


@contextlib.contextmanager
def open_zip(path: Path | str, content: io.BytesIO | None = None) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive for reading.

    Args:
        path: The file, or what `content` is called in messages.
        content: The archive, where it is in memory.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It, or what is read from it inside the block, is damaged, or its list of members is made to
            be read in two ways.
    """
    path = Path(path)
    if content is None and not path.is_file():
        raise NotFoundError(f"{path} does not exist.", hint="Check the path.")
    try:
        with zipfile.ZipFile(content or path) as archive:
            _check_members(archive)
            yield archive
    except OSError as error:
        # A damaged offset is an invalid place to seek to; what has other numbers is trouble with the disk.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise _damaged(path, error) from error
    except _ZIP_ERRORS as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InvalidInputError:
    said = shortened((getattr(error, "strerror", None) or str(error)).rstrip("."))
    return InvalidInputError(f"{path} is damaged: {said or type(error).__name__}.")


def _check_members(archive: zipfile.ZipFile) -> None:
    """Refuse what no honest archive has, and what readers of zip archives do not agree on."""
    members = archive.infolist()
    # What is left of an archive that held another: without its end, the inner one's passes for its own.
    if min((info.header_offset for info in members), default=0) > 0:
        raise zipfile.BadZipFile("something stands before its first member")
    if len({info.filename for info in members}) < len(members):
        raise zipfile.BadZipFile("two members have the same name")
    for info in members:
        if info.filename.startswith(("/", "\\")) or ".." in Path(info.filename).parts:
            raise zipfile.BadZipFile(f"the member {shown(info.filename)} leads out of it")
    # The members lie before the list of them, whatever it says of their sizes.
    if sum(info.file_size for info in members) > _ALWAYS_FINE + _MAX_RATIO * archive.start_dir:
        raise zipfile.BadZipFile("its members claim to be far larger than it")


def read_member(archive: zipfile.ZipFile, name: str, *, limit: int = MEMBER_LIMIT) -> bytes:
    """Return a member's bytes.

    Raises:
        InvalidInputError: It is missing or larger than `limit`.
    """
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise InvalidInputError(f"{archive.filename} is damaged or of another kind: it has no {name}.") from error
    now_reading(name)
    if info.file_size > limit:
        raise InvalidInputError(f"{archive.filename}: {name} claims {info.file_size} bytes, which is refused.")
    with archive.open(info) as member:
        # As much as was claimed, and not a byte more: what is packed may be far larger.
        return member.read(info.file_size)


def check_members(path: Path | str) -> None:
    """Read every member of a zip archive and compare it with its CRC.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged.
    """
    with open_zip(path) as archive:
        for info in archive.infolist():
            now_reading(info.filename)
            with archive.open(info) as member:
                while member.read(_BLOCK):
                    now_reading(info.filename)


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
    try:
        shape, _, dtype = readers[version](file, max_header_size=_HEADER_LIMIT)
    except ValueError:
        raise
    # Python's parser reads the header, which raises what it pleases.
    except Exception as error:
        raise ValueError("an npy header cannot be read") from error
    return shape, dtype
