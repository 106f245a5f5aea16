"""Files at an address, on any file system that fsspec knows."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import MissingDependencyError, RunError, UsageError
from mocapact_cli.core.interop.extras import require
from mocapact_cli.core.remote.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITH_FOLDERS = {"file", "local", "sftp", "ssh", "smb", "ftp", "hdfs", "arrow_hdfs", "webhdfs", "memory"}
"""Protocols of file systems that move a folder as one."""


def is_address(place: str) -> bool:
    """Whether a place is an address, not a path."""
    return "://" in place


class Far:
    """Files below an address; paths are given below it.

    Args:
        address: Such as `s3://bucket/experts`.

    Raises:
        UsageError: No such kind of address is known.
        MissingDependencyError: What reaches such addresses is not installed.
    """

    def __init__(self, address: str) -> None:
        fsspec: Any = require("fsspec", "fsspec.core", purpose="addresses", extra="cloud")
        self._shown = without_secrets(address)
        try:
            self._fs, self._root = fsspec.url_to_fs(address)
        except ImportError as error:
            raise MissingDependencyError(
                f"What reaches {self._shown} is not installed: {error}.", hint="Install it beside mocapact[cloud]."
            ) from error
        except ValueError as error:
            raise UsageError(f"{self._shown} is no address that fsspec knows: {error}.") from error

    def files(self, below: str = "") -> set[str]:
        """All files below the address, or below a folder of it."""
        with self._named():
            folder = self._at(below).rstrip("/")
            found = self._fs.find(folder) if self._fs.exists(folder) else []
        return {str(PurePosixPath(name).relative_to(self._root)) for name in map(self._fs._strip_protocol, found)}

    def fetch(self, below: str, folder: Path) -> None:
        """Copy what lies below a folder of the address, if anything, to this machine."""
        for name in self.files(below):
            self.fetch_file(name, folder / PurePosixPath(name).relative_to(below))

    def fetch_file(self, name: str, target: Path) -> None:
        """Copy a file to this machine."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._named():
            self._fs.get_file(self._at(name), str(target))

    def read_text(self, name: str) -> str | None:
        """Return what a small file says; None where it is not there."""
        with self._named():
            return self._fs.cat_file(self._at(name)).decode() if self._fs.exists(self._at(name)) else None

    def put_file(self, source: Path, name: str) -> None:
        """Copy a file to its place, which it takes when it is complete."""
        beside = self._beside(name) if self._has_folders else name
        self._put(source, beside)
        if beside != name:
            with self._named():
                self._fs.mv(self._at(beside), self._at(name))

    def put_folder(self, source: Path, name: str, *, last: Path) -> None:
        """Copy a folder to its place, as one where the file system can, else with one of its files last."""
        if not self._has_folders:
            self.remove(name)
            self.mirror(source, name, last=last)
            return
        beside = self._beside(name)
        self.mirror(source, beside, last=last)
        self.remove(name)
        with self._named():
            self._fs.mv(self._at(beside), self._at(name), recursive=True)

    def mirror(self, source: Path, name: str, *, last: Path) -> None:
        """Copy a folder's files, one of them last."""
        files = [path for path in sorted(source.rglob("*")) if path.is_file() and not path.name.startswith(".")]
        for path in sorted(files, key=lambda path: path.relative_to(source) == last):
            self._put(path, f"{name}/{path.relative_to(source).as_posix()}")

    def remove(self, name: str) -> None:
        """Remove a folder, if it is there."""
        with self._named():
            if self._fs.exists(self._at(name)):
                self._fs.rm(self._at(name), recursive=True)

    @property
    def _has_folders(self) -> bool:
        protocol = self._fs.protocol
        return not _WITH_FOLDERS.isdisjoint((protocol,) if isinstance(protocol, str) else protocol)

    @staticmethod
    def _beside(name: str) -> str:
        path = PurePosixPath(name)
        return str(path.with_name(f".{path.name}.{secrets.token_hex(4)}"))

    def _put(self, source: Path, name: str) -> None:
        with self._named():
            self._fs.makedirs(self._fs._parent(self._at(name)), exist_ok=True)
            self._fs.put_file(str(source), self._at(name))

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else str(self._root)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:
            # Each of the many file systems has errors of its own.
            raise RunError(
                f"{self._shown} cannot be read or written: {type(error).__name__}: {error}",
                hint="Check the address, your rights there and the network.",
            ) from error
