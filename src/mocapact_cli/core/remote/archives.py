"""Members of a remote .tar.gz or .tar, written as its bytes come in: the archive itself is never stored.

Next to what it writes, `extract` keeps a folder of records: the headers it has seen, the members it has finished
and points from which the gzip stream can be read on. So an interrupted archive goes on, a finished member is never
fetched again, and a later request for other members goes to where they are.
"""

from __future__ import annotations

import unicodedata
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from mocapact_cli.core.errors import InvalidInputError, RunError
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.remote.archive_content import ArchiveContent, Reading
from mocapact_cli.core.remote.archive_records import ArchiveRecords
from mocapact_cli.core.remote.files import ChangedError
from mocapact_cli.core.remote.gzip_stream import SPACING, DamagedError, TruncatedError
from mocapact_cli.core.remote.member_files import MemberFile, check_name, is_done, target_path
from mocapact_cli.core.remote.retries import Retries
from mocapact_cli.core.remote.tar_headers import next_member
from mocapact_cli.core.remote.wanted import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.remote.archive_records import Member
    from mocapact_cli.core.remote.files import RemoteFile, Source
    from mocapact_cli.core.remote.wanted import Wanted

_CHANGES = 3
_TRIES = 2
_AGAIN = "Run the same command again; if it says the same, the archive is damaged at the source."


@dataclass(frozen=True)
class Extraction:
    """What came of a request to an archive.

    Attributes:
        archive: The version it was taken from.
        places: Paths below the destination of all wanted members that are there now, with their sizes in bytes.
        written: Those of them that were written by this call.
        missing: Items of the request that are not complete; what the archive does not hold once it is `exhausted`.
        exhausted: Whether all members of the archive are known.
        received: Bytes of the archive that this call received.
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
        member: Bytes of one member.
        total: Bytes of all members together.
        ratio: Bytes that one byte of a gzip stream becomes, on average.
        members: Members.
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
    retries: Retries | None = None,
    progress: Progress | None = None,
    checksum: Literal["fail", "warn", "skip"] = "fail",
    limits: Limits = Limits(),
    spacing: int = SPACING,
) -> Extraction:
    """Write the wanted members of an archive below a folder.

    Reading stops as soon as the request is complete, and does not begin where it is complete already. What is there
    from an earlier run, be it killed, is not read again: finished members stay, and one that was half written goes on
    from the last point before that. An archive that changes at the source begins anew.

    The checksum of the archive is verified where the source has one and all of it is read in one go; that of the gzip
    stream whenever its end is read.

    Args:
        source: Where the archive is.
        file: The archive, from the source's `stat`: a tar archive where its name ends in `.tar`, else a gzip of one.
        destination: The folder; the caller holds its lock.
        wanted: The members, and what completes the request.
        jobs: Connections.
        retries: For each connection.
        progress: Told how much of the archive has been passed, in megabytes.
        checksum: What to do where the archive does not match the source's checksum.
        limits: Against hostile archives.
        spacing: Bytes of the archive between two points from which the gzip stream can be taken up.

    Raises:
        InvalidInputError: The archive is damaged, hostile or no archive; or something is in the way of a member.
        NotFoundError: It is gone.
        AccessError: It is denied, or the access has expired.
        RunError: It cannot be reached.
        OSError: The disk is full, or does not take something.
    """
    retries, progress = retries or Retries(), progress or NullProgress()
    reading = Reading(jobs, retries, spacing, limits.ratio, hashed=checksum != "skip" and wanted.items is None)
    for _ in range(_CHANGES):
        try:
            with (
                ArchiveRecords(destination, file) as records,
                progress.task(f"Reading {file.name}", total=(file.size or 0) / 1e6 or None, unit="MB") as task,
                closing(ArchiveContent(source, file, records, reading, task)) as content,
            ):
                request = _Request(f"{file.name} at {source.label}", destination, wanted, checksum, limits)
                return _Run(request, file, records, content, progress).extract()
        except ChangedError:
            progress.message(f"{file.name} has changed at {source.label}: it begins anew.")
            file = retries.call(partial(source.stat, file.name))
    raise RunError(f"{file.name} keeps changing at {source.label}.", hint="Try again later.")


def listing(destination: Path, file: RemoteFile) -> tuple[dict[str, int], bool]:
    """What is known of an archive without asking the source.

    Returns:
        Names and sizes in bytes of the files in it; and whether those are all of them.
    """
    records = ArchiveRecords(destination, file)
    return {member.name: member.size for member in records.members if member.kind == "file"}, records.ended


@dataclass(frozen=True)
class _Request:
    """What has been asked for, and how the archive is called."""

    subject: str
    destination: Path
    wanted: Wanted
    checksum: Literal["fail", "warn", "skip"]
    limits: Limits


@dataclass
class _Run:
    """One request to one version of an archive."""

    request: _Request
    file: RemoteFile
    records: ArchiveRecords
    content: ArchiveContent
    progress: Progress
    written: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._tally = Tally(self.request.wanted)
        self._places: dict[str, int] = {}
        self._taken: dict[str, str] = {}
        self._total = 0

    def _result(self) -> Extraction:
        return Extraction(
            archive=self.file,
            places=self._places,
            written=tuple(self.written),
            missing=tuple(self._tally.missing()),
            exhausted=self.records.ended,
            received=self.content.received,
        )

    def extract(self) -> Extraction:
        """Damage may have come about on the way: only what comes twice is in the archive."""
        for _ in range(_TRIES):
            try:
                self._walk()
                return self._result()
            except DamagedError as error:
                damage = error
                self._recover(isinstance(error, TruncatedError))
            except InvalidInputError as error:
                raise InvalidInputError(f"{self.request.subject}: {error.message}", hint=error.hint) from error
        raise InvalidInputError(f"{self.request.subject} is damaged: {damage}.", hint=_AGAIN) from damage

    def _recover(self, sound: bool) -> None:
        """Begin again: from where it ended, or from the beginning where what came before may be damaged, too."""
        self.content.close()
        if not sound:
            self.records.forget()
        self._begin()

    def _walk(self) -> None:
        """Go through the archive's members until the request is complete: first those that are known."""
        for member in tuple(self.records.members):
            self._deal_with(member)
            if self._tally.complete():
                return
        while not self.records.ended:
            self.content.seek(self.records.frontier)
            if (found := next_member(self.content)) is None:
                self._end()
                break
            self.records.add(found)
            self._deal_with(found)
            if self._tally.complete():
                return
        self._tally.ended()

    def _deal_with(self, member: Member) -> None:
        self._check_size(member)
        place = self.request.wanted.target(member.name)
        if place is None or member.kind == "folder":
            self._tally.passed(place, is_file=False)
            return
        path = self._checked(member, place)
        if not is_done(path, self.records.done.get(member.header)):
            self._write(member, place, path)
        self._places[place] = member.size
        self._tally.passed(place, is_file=True)

    def _check_size(self, member: Member) -> None:
        self._total += member.size
        if member.size > self.request.limits.member or self._total > self.request.limits.total:
            raise InvalidInputError(f"a member claims {member.size:,} bytes, which is refused.")
        if len(self.records.members) > self.request.limits.members:
            raise InvalidInputError(f"it has more than {self.request.limits.members:,} members, which is refused.")

    def _checked(self, member: Member, place: str) -> Path:
        """The path of a member, if there is nothing wrong with it."""
        check_name(member.name.removeprefix("./"))
        if member.kind != "file":
            raise InvalidInputError(f"{member.name} is no plain file in it, which is refused.")
        path = target_path(self.request.destination, place)
        # Some disks take names for the same that differ in case, or in how accents are put together.
        key = unicodedata.normalize("NFC", place).casefold()
        other = self._taken.setdefault(key, place)
        if place in self._places or other != place:
            raise InvalidInputError(f"it holds {place} twice{'' if other == place else f', once as {other}'}.")
        return path

    def _write(self, member: Member, place: str, path: Path) -> None:
        with MemberFile(path, member, place, self.records) as output:
            self.content.seek(member.data + output.written)
            for piece in self.content.pieces(member.size - output.written):
                output.write(piece)
        self.written[place] = None

    def _end(self) -> None:
        """Verify what can be: the gzip stream's own checksum, and the archive's where all of it went by."""
        found, expected = self.content.to_end(), self.file.checksum
        if found is not None and expected is not None and found != expected.digest:
            said = f"its {expected.algorithm} is {found}, not {expected.digest}"
            if self.request.checksum == "fail":
                # What has been written cannot be trusted: the next run writes all of it again.
                self.records.forget()
                raise InvalidInputError(f"it does not match its checksum: {said}.", hint=_AGAIN)
            self.progress.message(f"{self.request.subject} does not match its checksum: {said}.")
        self.records.add_end()
