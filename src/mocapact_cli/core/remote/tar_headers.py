"""Headers of a tar archive, one at a time from any offset on; tarfile reads them, within limits."""

from __future__ import annotations

import io
import tarfile
from typing import IO, TYPE_CHECKING, Protocol, cast

from mocapact_cli.core.remote.archive_records import Kind, Member
from mocapact_cli.core.remote.gzip_stream import DamagedError, TruncatedError

if TYPE_CHECKING:
    from mocapact_cli.core.remote.archive_records import Kind

_LONGEST_HEADERS = 1 << 20


class _Readable(Protocol):
    def read(self, size: int) -> bytes: ...

    def tell(self) -> int: ...


def next_member(content: _Readable) -> Member | None:
    """Read the headers of the member that begins where `content` stands.

    Returns:
        None: the archive ends here.

    Raises:
        TruncatedError: It ends in the middle of a header, or without the block of zeros that marks its end.
        DamagedError: There is no sound header; or long names and the like take more than a megabyte.
    """
    begin = content.tell()
    # tarfile wants an archive of its own; this one is empty.
    archive = tarfile.TarFile(fileobj=io.BytesIO(bytes(2 * tarfile.BLOCKSIZE)))
    archive.fileobj = cast("IO[bytes]", _Limited(content))
    try:
        found = tarfile.TarInfo.fromtarfile(archive)
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return None
    except (tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
        raise TruncatedError(f"it ends early, at byte {begin:,} of its content") from error
    except (tarfile.TarError, ValueError, IndexError, RecursionError, OverflowError) as error:
        reason = f"no member begins at byte {begin:,} of its content" if begin else "it is not a tar archive"
        raise DamagedError(reason) from error
    if found.size < 0 or archive.offset <= begin:
        raise DamagedError(f"the header at byte {begin:,} of its content claims a negative size")
    return Member(begin, found.offset_data, found.size, archive.offset, _kind(found), found.name)


def _kind(found: tarfile.TarInfo) -> Kind:
    if found.isdir():
        return "folder"
    if found.issym() or found.islnk():
        return "link"
    return "file" if found.isreg() and not found.issparse() else "other"


class _Limited:
    """What tarfile reads headers from: no more than so much for one member."""

    def __init__(self, content: _Readable) -> None:
        self._content = content
        self._left = _LONGEST_HEADERS
        self.tell = content.tell

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise DamagedError(f"the headers at byte {self._content.tell():,} of its content are absurdly long")
        return self._content.read(size)
