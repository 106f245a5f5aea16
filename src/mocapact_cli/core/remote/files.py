"""What a source of remote files is: names, sizes, versions and ranges of bytes.

A source makes one attempt at a time and says how it failed; trying again, resuming, verifying and writing to disk are
the same for all of them and live above (`mocapact_cli.core.remote.transfer`,
`mocapact_cli.core.remote.archives`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Checksum:
    """What a source says that a file's content hashes to.

    Attributes:
        algorithm: Of the hash.
        digest: In lower-case hexadecimal.
    """

    algorithm: Literal["md5", "sha256"]
    digest: str


@dataclass(frozen=True)
class RemoteFile:
    """One version of a file at a source.

    Attributes:
        name: Path below the source, parts joined by `/`.
        size: Bytes; None where the source does not say.
        version: What changes when the content does, such as a strong ETag; None where the source has none.
        checksum: Of the content; None where the source has none.
    """

    name: str
    size: int | None = None
    version: str | None = None
    checksum: Checksum | None = None


class TransientError(Exception):
    """An attempt failed in a way that another one may not: a dropped connection, a busy server.

    Args:
        reason: One line without secrets.
        wait: Seconds that the server asks to wait before the next attempt.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


class ChangedError(Exception):
    """The file at the source is no longer the version that was asked for."""


class RangeUnsupportedError(Exception):
    """The source sends files only from their beginning."""


class Source(Protocol):
    """Where files come from. Safe to use from several threads; every method makes one attempt.

    Besides `TransientError`, methods raise the errors of `mocapact_cli.core.errors`: `NotFoundError`,
    `AccessError` (denied or expired) and `RunError` (no network, a proxy, a server that makes no sense). No
    message holds a signature or a token.

    Attributes:
        label: How the source is called in messages; without secrets.
    """

    label: str

    def stat(self, name: str) -> RemoteFile:
        """The present version of one file."""

    def files(self, prefix: str) -> Iterator[RemoteFile]:
        """All files whose name starts with a prefix, in the order of their names.

        Raises:
            RunError: The source cannot list.
        """

    def read(self, file: RemoteFile, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to `stop` (None: the end) of that version, in pieces of any size.

        The iterator may end early only by an exception; closing it closes the connection.

        Raises:
            ChangedError: The source has another version now.
            RangeUnsupportedError: `start` is not 0 and the source ignores ranges.
        """
