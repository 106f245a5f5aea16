"""Hashing a file behind those who write it, so that little is left to read when the last byte comes."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.remote.files import Checksum
    from mocapact_cli.core.remote.partial import PartialFile

_PIECE = 1 << 20


class TrailingDigest:
    """The hash of the bytes that are there from the beginning on.

    It reads what was just written, which the system still has in memory.

    Args:
        partial: The file.
        checksum: What it shall hash to.
    """

    def __init__(self, partial: PartialFile, checksum: Checksum) -> None:
        self._partial, self._checksum = partial, checksum
        self._hash = hashlib.new(checksum.algorithm, usedforsecurity=False)
        self._position, self._turn = 0, threading.Lock()

    def follow(self) -> None:
        """Catch up with what is there, unless another thread is at it."""
        if self._turn.acquire(blocking=False):
            try:
                self._advance()
            finally:
                self._turn.release()

    def matches(self) -> bool:
        """Whether the file, which is complete, has the checksum."""
        with self._turn:
            self._advance()
        return self._hash.hexdigest() == self._checksum.digest

    def _advance(self) -> None:
        for piece in self._partial.read(self._position, self._partial.prefix):
            self._hash.update(piece)
            self._position += len(piece)


def has_checksum(path: Path, checksum: Checksum) -> bool:
    """Whether a file hashes to that."""
    found = hashlib.new(checksum.algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            found.update(piece)
    return found.hexdigest() == checksum.digest
