"""Members of a remote .tar.gz or .tar, written as its bytes come in: the archive itself is never stored.

Next to what it writes, :func:`extract` keeps a folder of records: the headers it has seen, the members it has finished
and points from which the gzip stream can be read on. So an interrupted archive goes on, a finished member is never
fetched again, and a later request for other members goes to where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mocapact_cli.core.progress import NullProgress

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.remote.files import RemoteFile, Source
    from mocapact_cli.core.remote.wanted import Wanted


@dataclass(frozen=True)
class Extraction:
    """What came of a request to an archive.

    Attributes:
        archive: the version it was taken from.
        places: paths below the destination of all wanted members that are there now, with their sizes in bytes.
        written: those of them that were written by this call.
        missing: items of the request that are not complete; what the archive does not hold once it is `exhausted`.
        exhausted: whether all members of the archive are known.
        received: bytes of the archive that this call received.
    """

    archive: RemoteFile
    places: dict[str, int]
    written: tuple[str, ...]
    missing: tuple[str, ...]
    exhausted: bool
    received: int


@dataclass(frozen=True)
class Limits:
    """What an archive may not exceed, so that a hostile one does no harm.

    Attributes:
        member: bytes of one member.
        total: bytes of all members together.
        ratio: bytes that one byte of a gzip stream becomes, on average.
        members: members.
    """

    member: int = 1 << 36
    total: int = 1 << 40
    ratio: int = 200
    members: int = 1_000_000


def extract(
    source: Source,
    file: RemoteFile,
    destination: Path,
    wanted: Wanted,
    *,
    jobs: int = 4,
    progress: Progress | None = None,
    checksum: Literal["fail", "warn", "skip"] = "fail",
    limits: Limits = Limits(),
) -> Extraction:
    """Write the wanted members of an archive below a folder.

    Stops reading as soon as the request is complete; nothing is read where it is complete already. The caller holds
    the lock of the destination.
    """
    raise NotImplementedError


def listing(destination: Path, file: RemoteFile) -> tuple[dict[str, int], bool]:
    """What is known of an archive without asking the source: names and sizes of files, and whether that is all."""
    raise NotImplementedError
