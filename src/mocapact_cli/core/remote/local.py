"""A folder on this machine, or one archive, as a source."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import NotFoundError
from mocapact_cli.core.remote.files import ChangedError, RemoteFile

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 1 << 20


class LocalSource:
    """The files of a folder.

    Args:
        folder: The folder.

    Raises:
        NotFoundError: There is none.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NotFoundError(f"{folder} is not a folder.", hint="Give a folder or a tarball.")
        self.folder, self.label = folder, str(folder)

    def stat(self, name: str) -> RemoteFile:
        """The present version of one file: its size and the time of its last change.

        Raises:
            NotFoundError: There is no such file.
        """
        path = self._path(name)
        if not path.is_file():
            raise NotFoundError(f"{self.label} has no {name}.", hint="Check the name, or try another source.")
        about = path.stat()
        return RemoteFile(name, about.st_size, f"{about.st_mtime_ns}-{about.st_size}")

    def files(self, prefix: str) -> Iterator[RemoteFile]:
        """All files whose name starts with a prefix, in the order of their names."""
        start = self._path(prefix if prefix.endswith("/") else str(PurePosixPath(prefix).parent))
        names = (path.relative_to(self.folder).as_posix() for path in start.rglob("*") if path.is_file())
        for name in sorted(name for name in names if name.startswith(prefix)):
            yield self.stat(name)

    def read(self, file: RemoteFile, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes of a range of that version.

        Raises:
            ChangedError: The file is of another version.
        """
        if self.stat(file.name).version != file.version:
            raise ChangedError(f"{file.name} has changed in {self.label}")
        with self._path(file.name).open("rb") as opened:
            opened.seek(start)
            left = (file.size or 0) - start if stop is None else stop - start
            while left > 0:
                piece = opened.read(min(_PIECE, left))
                if not piece:
                    raise ChangedError(f"{file.name} has become shorter in {self.label}")
                left -= len(piece)
                yield piece

    def _path(self, name: str) -> Path:
        return self.folder / PurePosixPath(name.lstrip("/"))
