"""What tarballs hold, as facts for `inspect`: nothing is extracted."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from mocapact_cli.core.clips.snippets import snippet_named
from mocapact_cli.core.errors import InvalidInputError, first_line
from mocapact_cli.core.safe import h5

if TYPE_CHECKING:
    from collections.abc import Iterator

Facts = dict[str, Any]
MEMBER_LIMIT = 200_000
UNPACKED_LIMIT = 1 << 29
"""Bytes of a compressed tarball that are unpacked (and dropped) to list it, unless all of it is asked for."""
_READ_LIMIT = 1 << 22
"""Bytes that a member's header may claim for itself."""
_KINDS = {
    ".hdf5": "rollouts", ".h5": "mocap", ".zip": "models", ".npz": "metrics", ".ckpt": "checkpoints",
    ".pt": "checkpoints", ".pth": "checkpoints", ".pkl": "pickles", ".json": "texts", ".txt": "texts", ".csv": "texts",
}  # fmt: skip


def inspect_tarball(path: Path, *, whole: bool = False) -> Facts:
    """Return what a tarball holds, by kind of file and by snippet, and which members must not be unpacked.

    Args:
        path: A `.tar`, `.tar.gz` or `.tgz` file.
        whole: Go through all of a compressed tarball, however large.

    Raises:
        InvalidInputError: It is damaged or no tarball.
    """
    kinds, groups, sizes = Counter[str](), Counter[str](), Counter[str]()
    flagged: list[Facts] = []
    listed: list[Facts] = []
    complete = True
    for member in _members(path, whole=whole):
        if member is None or len(listed) >= MEMBER_LIMIT:
            complete = False
            break
        if reason := _danger(member):
            flagged.append({"path": member.name, "reason": reason})
        if member.isfile():
            kind, group = _kind(member.name), _group(member.name)
            kinds[kind] += 1
            groups[group] += 1
            sizes[f"kind {kind}"] += member.size
            sizes[f"group {group}"] += member.size
            listed.append({"path": member.name, "bytes": member.size})
    return {
        "kind": "tarball",
        "path": str(path),
        "bytes": path.stat().st_size,
        "complete": complete,
        "files": len(listed),
        "unpacked_bytes": sum(row["bytes"] for row in listed),
        "holds": [{"kind": kind, "files": n, "bytes": sizes[f"kind {kind}"]} for kind, n in sorted(kinds.items())],
        "groups": [{"group": name, "files": n, "bytes": sizes[f"group {name}"]} for name, n in sorted(groups.items())],
        "flagged": flagged,
        "members": listed,
    }


def _members(path: Path, *, whole: bool) -> Iterator[tarfile.TarInfo | None]:
    """Yield the members in order, then None where the listing stops before the end."""
    try:
        with path.open("rb") as raw:
            archive: Any = tarfile.TarFile(fileobj=cast("Any", _Limited(raw, None if whole else UNPACKED_LIMIT)))
            while (member := archive.next()) is not None:
                # The archive keeps every member that it has seen, which nobody asks for again.
                archive.members.clear()
                yield member
    except _EnoughError:
        yield None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError) as error:
        raise InvalidInputError(f"{path} is damaged or not a tarball: {first_line(error)}.") from error


class _EnoughError(Exception):
    """As much has been unpacked as may be."""


class _Limited:
    """A file of tar blocks, unpacked on the way, that refuses absurd reads and stops where it has gone far enough."""

    def __init__(self, raw: Any, limit: int | None) -> None:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        self._file: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        self._limit = limit if packed else None

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _READ_LIMIT:
            raise ValueError(f"a header claims {size} bytes, which is refused")
        content: bytes = self._file.read(size)
        return content

    def seek(self, position: int, whence: int = 0) -> int:
        if self._limit is not None and position > self._limit:
            raise _EnoughError
        return int(self._file.seek(position, whence))

    def tell(self) -> int:
        return int(self._file.tell())


def _danger(member: tarfile.TarInfo) -> str:
    """Say why a member must not be unpacked as it stands; empty for harmless ones."""
    parts = PurePosixPath(member.name.replace("\\", "/"))
    if parts.is_absolute() or (len(member.name) > 1 and member.name[1] == ":"):
        return "absolute path"
    if ".." in parts.parts:
        return "leads out of the folder"
    if member.issym() or member.islnk():
        return f"link to {member.linkname}"
    if not (member.isfile() or member.isdir()):
        return "neither file nor folder"
    return ""


def _kind(name: str) -> str:
    return _KINDS.get(PurePosixPath(name).suffix.lower(), "other")


def _group(name: str) -> str:
    """Return the snippet that a member belongs to, else the clip (a data file's stem), else its top folder."""
    path = PurePosixPath(name)
    for snippet in filter(None, map(snippet_named, path.parts)):
        return str(snippet)
    if path.suffix in h5.SUFFIXES:
        return path.stem
    return path.parts[0] if len(path.parts) > 1 else "."
