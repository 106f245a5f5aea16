"""Carrying out the plan of a download."""

from __future__ import annotations

import io
import tarfile
import time
import zlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import MocapactError
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.remote.archives import extract, listing
from mocapact_cli.core.remote.asking import ask_all
from mocapact_cli.core.remote.files import ChangedError, RangeUnsupportedError, TransientError
from mocapact_cli.core.remote.folder import locked
from mocapact_cli.core.remote.retries import Retries, told
from mocapact_cli.core.remote.transfer import JOBS, fetch_all

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.remote.download import Checking
    from mocapact_cli.core.remote.files import RemoteFile, Source
    from mocapact_cli.core.remote.plan import Plan
    from mocapact_cli.core.remote.wanted import Wanted

_FIRST_BYTES = 1 << 16
"""Bytes of an archive in which its first header is found."""


@dataclass
class Acquired:
    """What a download has brought.

    Attributes:
        destination: The folder.
        files: All files of the request that are there now: path below the folder -> bytes.
        written: How many of them this call has written.
        received: Bytes that came over the wire.
        seconds: That it took.
        absent: Clips and snippets that the source does not have.
    """

    destination: Path
    files: dict[str, int] = field(default_factory=dict)
    written: int = 0
    received: int = 0
    seconds: float = 0.0
    absent: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "files": len(self.files),
            "bytes": sum(self.files.values()),
            "written": self.written,
            "received_bytes": self.received,
            "elapsed_s": round(self.seconds, 3),
            "absent": list(self.absent),
        }


def acquire(
    plan: Plan,
    *,
    jobs: int = JOBS,
    checksum: Checking = "fail",
    progress: Progress | None = None,
    retries: Retries | None = None,
) -> Acquired:
    """Fetch what a plan says; what is there already is not fetched again, and what is half there goes on.

    Args:
        plan: What, from where and to where.
        jobs: Connections at once.
        checksum: What a wrong checksum means.
        progress: Told about bytes.
        retries: When an attempt that failed is made again.

    Raises:
        NotFoundError: Something that was asked for by name is in none of the archives.
        AccessError, InvalidInputError, RunError, OSError: As `mocapact_cli.core.remote.transfer.fetch_all` and
            `mocapact_cli.core.remote.archives.extract` raise them.
    """
    began = time.monotonic()
    result = Acquired(plan.destination, absent=plan.absent)
    run = _Run(plan, jobs, checksum, progress or NullProgress(), retries or Retries(), result)
    if plan.files:
        run.fetch_files()
    if plan.archives:
        with locked(plan.destination):
            run.read_archives()
    result.seconds = time.monotonic() - began
    return result


@dataclass
class _Run:
    plan: Plan
    jobs: int
    checksum: Checking
    progress: Progress
    retries: Retries
    result: Acquired

    def fetch_files(self) -> None:
        fetched = fetch_all(
            self.plan.source,
            [file.remote for file in self.plan.files],
            self.plan.destination,
            places={file.remote.name: file.place for file in self.plan.files},
            jobs=self.jobs,
            checksum=self.checksum,
            progress=self.progress,
            retries=self.retries,
        )
        for planned, one in zip(self.plan.files, fetched, strict=True):
            self.result.files[planned.place] = one.path.stat().st_size
            self.result.written += one.received > 0
            self.result.received += one.received

    def read_archives(self) -> None:
        wanted, archives = self.plan.choice.wanted(), [one.remote for one in self.plan.archives]
        missing: set[str] = set()
        if wanted.items is not None:
            missing = self._read_for(archives, wanted, set(wanted.items))
        else:
            for archive in archives:
                self._extract(archive, wanted)
        self._check_found(missing)

    def _read_for(self, archives: list[RemoteFile], wanted: Wanted, missing: set[str]) -> set[str]:
        """Go first to the archives that are known to hold something, then through the others in turn."""
        for archive in archives:
            known, _ = listing(self.plan.destination, archive)
            held = {item for name in known if (place := wanted.place(name)) and (item := wanted.item_of(place))}
            if held & missing:
                missing -= self._take(archive, wanted, held & missing)
        for archive in self._by_guess(archives, missing):
            if not missing:
                break
            missing -= self._take(archive, wanted, missing)
        return missing

    def _take(self, archive: RemoteFile, wanted: Wanted, items: Collection[str]) -> set[str]:
        """Read an archive for some items, and return those of them that are complete now."""
        part = replace(wanted, items={item: (wanted.items or {})[item] for item in items})
        return set(items) - set(self._extract(archive, part))

    def _extract(self, archive: RemoteFile, wanted: Wanted) -> tuple[str, ...]:
        found = extract(
            self.plan.source,
            archive,
            self.plan.destination,
            wanted,
            jobs=self.jobs,
            retries=told(self.retries, self.progress),
            progress=self.progress,
            checksum=self.checksum,
        )
        self.result.files |= found.places
        self.result.written += len(found.written)
        self.result.received += found.received
        return found.missing

    def _by_guess(self, archives: list[RemoteFile], missing: set[str]) -> list[RemoteFile]:
        """The archives that may hold what is missing, the likeliest first.

        It is not known which archive holds what. Where they continue each other in alphabetical order, which their
        first members show, it is the last one that begins before; else any order is as good as another.
        """
        unread = [one for one in archives if not listing(self.plan.destination, one)[1]]
        if len(unread) < 2 or not missing:
            return unread
        beginnings = list(self._beginnings(unread))
        likely = {
            max(((first, name) for name, first in beginnings if first <= item), default=("", ""))[1] for item in missing
        }
        return sorted(unread, key=lambda one: one.name not in likely)

    def _beginnings(self, archives: list[RemoteFile]) -> Iterator[tuple[str, str]]:
        """Names of archives with the places of their first members."""
        names = ask_all(partial(_first_member, self.plan.source), archives, self.jobs)
        for archive, name in zip(archives, names, strict=True):
            place = self.plan.choice.kind.place(name)
            if place is not None:
                yield archive.name, place

    def _check_found(self, missing: Collection[str]) -> None:
        """See that all is there; an expert of which a part is missing is not."""
        places = [place for place in self.result.files if not {place, place.split("/", 1)[0]} & set(missing)]
        absent = set(self.plan.choice.absent(places))
        self.result.absent = tuple(sorted(absent | set(self.result.absent)))
        self.plan.choice.check_there(absent, self.plan.source.label)


def _first_member(source: Source, archive: RemoteFile) -> str:
    """The name of the first file in an archive; empty where its beginning does not tell."""
    try:
        begin = b"".join(source.read(archive, 0, min(_FIRST_BYTES, archive.size or _FIRST_BYTES)))
        if archive.name.endswith("gz"):
            begin = zlib.decompressobj(wbits=31).decompress(begin, 16 * _FIRST_BYTES)
        with tarfile.open(fileobj=io.BytesIO(begin), mode="r|") as tar:
            return next((member.name for member in tar if member.isfile()), "")
    except (MocapactError, TransientError, ChangedError, RangeUnsupportedError, tarfile.TarError, zlib.error, EOFError):
        # Whatever it is, reading the archive itself will say it.
        return ""
