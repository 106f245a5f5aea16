"""What a download will fetch, judged before the first byte of it comes: files, bytes, space and time."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import MocapactError, UsageError
from mocapact_cli.core.remote.archive_records import ArchiveRecords
from mocapact_cli.core.remote.catalog import known_units
from mocapact_cli.core.remote.files import ChangedError, RangeUnsupportedError, TransientError
from mocapact_cli.core.remote.folder import LOCK_NAME, Records, check_space, inside, locked
from mocapact_cli.core.remote.local import LocalSource
from mocapact_cli.core.remote.offers import size_of
from mocapact_cli.core.remote.partial import partial_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mocapact_cli.core.remote.catalog import Choice
    from mocapact_cli.core.remote.files import RemoteFile, Source
    from mocapact_cli.core.remote.offers import Offer

ASSUMED_RATE = 10e6
"""Bytes a second where there is too little to fetch for measuring it."""

_PROBE_FROM, _PROBE_BYTES, _PROBE_S = 200_000_000, 4_000_000, 2.0
_UNPACKED = 1.1
"""How much larger the files of an archive are than the archive: they hold floating-point numbers."""


@dataclass(frozen=True)
class PlannedFile:
    """One file.

    Attributes:
        remote: At the source.
        place: Below the destination.
        there: It is there already.
        begun: Bytes that an interrupted download of it has left.
    """

    remote: RemoteFile
    place: str
    there: bool
    begun: int = 0

    @property
    def left(self) -> int:
        """Bytes that are still to come."""
        return 0 if self.there else max(0, (self.remote.size or 0) - self.begun)


@dataclass(frozen=True)
class PlannedArchive:
    """One archive.

    Attributes:
        remote: At the source.
        there: Bytes of its wanted members that are there already.
        done: All of it has been read, and all that is wanted of it is there.
    """

    remote: RemoteFile
    there: int
    done: bool


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
        choice: What is wanted.
        source: Where it comes from.
        destination: The folder it goes to.
        files: Of the original layout.
        archives: That hold what is wanted, or may.
        absent: Names that the source has nothing of.
        free: Bytes on the disk of the destination.
        rate: Bytes a second; None where it was not measured.
    """

    choice: Choice
    source: Source
    destination: Path
    files: tuple[PlannedFile, ...]
    archives: tuple[PlannedArchive, ...]
    absent: tuple[str, ...]
    free: int
    rate: float | None = None

    @property
    def bytes_there(self) -> int:
        """Bytes that are there already."""
        return size_of(file.remote for file in self.files if file.there) + sum(one.there for one in self.archives)

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes that are to come: of archives at most, because reading ends when everything is there."""
        files = sum(file.left for file in self.files)
        return files + size_of(one.remote for one in self.archives if not one.done)

    @property
    def bytes_on_disk(self) -> int:
        """Bytes that will be written: of archives a guess, by the share of the clips or snippets in them."""
        files = sum(file.left for file in self.files)
        unpacked = round(size_of(one.remote for one in self.archives) * self._share * _UNPACKED)
        return files + max(0, unpacked - sum(one.there for one in self.archives))

    @property
    def _share(self) -> float:
        """The part of the archives that is wanted; 0 where it is not known."""
        kind, wanted = self.choice.kind, self.wanted
        if self.choice.names is None:
            return 1.0
        complete = all(kind.is_archive(one.remote.name) for one in self.archives)
        return wanted / known_units(kind) if wanted and complete else 0.0

    @property
    def wanted(self) -> int | None:
        """Clips' files or snippets' experts that are wanted; None where that is not known."""
        items = self.choice.wanted().items
        return None if items is None else len(items)

    @property
    def seconds(self) -> float:
        """How long it takes, at a guess."""
        return self.bytes_to_fetch / (self.rate or ASSUMED_RATE)

    @property
    def is_done(self) -> bool:
        """Whether everything is there."""
        return all(file.there for file in self.files) and all(archive.done for archive in self.archives)

    def check_space(self) -> None:
        """See that it fits.

        Raises:
            RunError: It does not.
        """
        check_space(self.destination, self.bytes_on_disk)

    def to_json(self) -> dict[str, Any]:
        """The plan as plain values, without secrets."""
        return {
            "type": self.choice.kind.name,
            "source": self.source.label,
            "destination": str(self.destination),
            "files": len(self.files),
            "files_there": sum(file.there for file in self.files),
            "archives": [
                {"name": one.remote.name, "bytes": one.remote.size, "done": one.done} for one in self.archives
            ],
            "wanted": self.wanted,
            "bytes_to_fetch": self.bytes_to_fetch,
            "bytes_there": self.bytes_there,
            "bytes_on_disk": self.bytes_on_disk,
            "free_bytes": self.free,
            "seconds": round(self.seconds, 1),
            "bytes_per_s": self.rate,
            "absent": list(self.absent),
        }


def make_plan(offer: Offer, choice: Choice, source: Source, destination: Path) -> Plan:
    """Compare what a source has with what is in the destination; nothing is written.

    Raises:
        UsageError: The destination is a file, or the source itself.
        RunError: Another process is writing there.
        InvalidInputError: The source names a file that cannot be written here.
    """
    _check_destination(offer, source, destination)
    # Records are read, and mended where a process died over them, by one process at a time.
    with locked(destination) if (destination / LOCK_NAME).exists() else contextlib.nullcontext():
        records = Records(destination)
        files = [_planned_file(file, place, destination, records) for file, place in offer.files]
        archives = [_planned_archive(file, choice, destination) for file in offer.archives]
    place = next(one for one in (destination, *destination.absolute().parents) if one.exists())
    free = shutil.disk_usage(place).free
    return Plan(choice, source, destination, tuple(files), tuple(archives), offer.absent, free)


def _check_destination(offer: Offer, source: Source, destination: Path) -> None:
    if destination.exists() and not destination.is_dir():
        raise UsageError(f"{destination} is a file.", hint="Give a folder with -d.")
    if not isinstance(source, LocalSource):
        return
    here, there = destination.resolve(), source.folder.resolve()
    if any(here / place == there / file.name for file, place in offer.files):
        raise UsageError(f"{destination} is the source itself.", hint="Choose another -d.")


def _planned_file(file: RemoteFile, place: str, destination: Path, records: Records) -> PlannedFile:
    path = inside(destination, place)
    partial = partial_path(path)
    # Of a file with holes in it only what has been written takes space.
    begun = partial.stat().st_blocks * 512 if partial.is_file() else 0
    return PlannedFile(file, place, records.complete(path, file), begun)


def _planned_archive(file: RemoteFile, choice: Choice, destination: Path) -> PlannedArchive:
    records, wanted = ArchiveRecords(destination, file), choice.wanted()
    by_header = {member.header: member for member in records.members if member.kind == "file"}
    places = {header: place for header, member in by_header.items() if (place := wanted.target(member.name))}
    there = [header for header in places if _is_there(destination, records, header)]
    return PlannedArchive(
        file, sum(by_header[header].size for header in there), records.ended and len(there) == len(places)
    )


def _is_there(destination: Path, records: ArchiveRecords, header: int) -> bool:
    """Whether a member has been written and lies there in the same size; whether it is the same is found out later."""
    done = records.done.get(header)
    if done is None:
        return False
    path = destination / done.place
    return path.is_file() and path.stat().st_size == done.size


def measured(plan: Plan, clock: Callable[[], float] = time.monotonic) -> Plan:
    """The plan with the rate of the source, measured for a moment over one connection where there is much to fetch."""
    pending = [file.remote for file in plan.files if not file.there] + [
        one.remote for one in plan.archives if not one.done
    ]
    if plan.bytes_to_fetch < _PROBE_FROM or isinstance(plan.source, LocalSource):
        return plan
    largest = max(pending, key=lambda file: file.size or 0)
    try:
        return replace(plan, rate=_rate(plan.source, largest, clock))
    except (MocapactError, TransientError, ChangedError, RangeUnsupportedError):
        # It will be said when the download itself fails.
        return plan


def _rate(source: Source, file: RemoteFile, clock: Callable[[], float]) -> float | None:
    began, count = clock(), 0
    for piece in source.read(file, 0, min(_PROBE_BYTES, file.size or 0)):
        count += len(piece)
        if clock() - began > _PROBE_S:
            break
    return count / max(clock() - began, 1e-3) if count else None
