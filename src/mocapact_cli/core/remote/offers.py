"""What a source has of what is wanted: files of the original layout, or archives that hold them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import AccessError, InvalidInputError, MocapactError, NotFoundError, UsageError
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.remote.asking import ask_all
from mocapact_cli.core.remote.catalog import EXPERT_FILES, METRICS, MOCAP, MOCAP_BYTES, MOCAP_CHECKSUM, MOCAP_FILE
from mocapact_cli.core.remote.local import LocalSource
from mocapact_cli.core.remote.mirror import NoListError
from mocapact_cli.core.remote.retries import Retries
from mocapact_cli.core.safe.archives import TAR_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mocapact_cli.core.remote.catalog import Choice
    from mocapact_cli.core.remote.files import RemoteFile, Source
    from mocapact_cli.core.remote.opening import Opened

_ASKERS = 16
"""Requests at once that only ask whether files are there."""


@dataclass(frozen=True)
class Offer:
    """What there is.

    Attributes:
        files: Each with its place below the destination.
        archives: In the order of their numbers.
        absent: Names of the choice that the source has nothing of, as far as is known before archives are read.
    """

    files: tuple[tuple[RemoteFile, str], ...] = ()
    archives: tuple[RemoteFile, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finder:
    """Looks for a choice at a source.

    Attributes:
        opened: The source.
        choice: What is wanted.
        sample: Take the small sample.
        retries: Of each request.
        progress: Told about many requests.
    """

    opened: Opened
    choice: Choice
    sample: bool = False
    retries: Retries = field(default_factory=Retries)
    progress: Progress = field(default_factory=NullProgress)

    @property
    def source(self) -> Source:
        """Where to look."""
        return self.opened.source

    def find(self) -> Offer:
        """What the source has.

        Raises:
            NotFoundError: Nothing, or something that was asked for by name is not there.
            UsageError: There is no sample of it.
            AccessError: It may not be read.
            RunError: It cannot be reached.
        """
        if self.sample:
            self._check_sample()
        if self.choice.kind.name == MOCAP:
            return self._mocap()
        if self.opened.file:
            return Offer(archives=(self._stat(self.opened.file),))
        if self.opened.is_hub:
            self.choice.check_there(self.choice.unknown(), self.source.label)
            return self._published()
        return self._original()

    def _mocap(self) -> Offer:
        """The file of reference motion, which is known by size and checksum wherever it comes from."""
        found = self._stat(self.opened.file or MOCAP_FILE)
        if found.size not in (None, MOCAP_BYTES):
            raise InvalidInputError(
                f"{found.name} at {self.source.label} is another file: of {found.size:,} bytes, not {MOCAP_BYTES:,}.",
                hint="Read other motion capture with --mocap FILE.",
            )
        return Offer(files=((replace(found, size=MOCAP_BYTES, checksum=MOCAP_CHECKSUM), MOCAP_FILE),))

    def _check_sample(self) -> None:
        if not self.opened.is_hub:
            raise UsageError("--sample is for Hugging Face.", hint="Leave it out, or leave out --source.")
        if not self.choice.kind.sample:
            raise UsageError(f"There is no sample of {self.choice.kind.name}.", hint="Leave out --sample.")

    def _published(self) -> Offer:
        """The archives, or the file, as they are on Hugging Face."""
        kind = self.choice.kind
        if "*" not in kind.archives or self.sample:
            return self._of(self._stat(kind.sample if self.sample else kind.archives))
        archives = [file for file in self._listed(kind.archive_folder) if kind.is_archive(file.name)]
        if not archives:
            raise NotFoundError(f"{self.source.label} has no {kind.archives}.", hint="Try another source.")
        return Offer(archives=tuple(sorted(archives, key=lambda file: _by_number(file.name))))

    def _of(self, file: RemoteFile) -> Offer:
        if file.name.endswith(TAR_SUFFIXES):
            return Offer(archives=(file,))
        return Offer(files=((file, self.choice.kind.place(file.name) or file.name),))

    def _original(self) -> Offer:
        """The files of the original layout; where there are none, what Hugging Face would have."""
        kind = self.choice.kind
        if kind.is_one_file:
            return self._of(self._stat(kind.archives))
        refused: MocapactError | None = None
        try:
            files = self._listed_files()
        except (NoListError, AccessError, NotFoundError) as error:
            # Many may read what they may not list.
            files, refused = self._named_files(), error
        if files:
            return self._checked(files)
        try:
            return self._published()
        except (NoListError, NotFoundError, AccessError):
            pass
        if refused is not None and not isinstance(refused, NoListError):
            raise refused
        self.choice.check_there(self.choice.names or (), self.source.label)
        raise NotFoundError(
            f"{self.source.label} has no {kind.name.replace('_', ' ')}.", hint=f"It has no {kind.folder}."
        )

    def _listed_files(self) -> list[tuple[RemoteFile, str]]:
        folders = self.choice.kind.folders
        for folder in (*folders, "") if isinstance(self.source, LocalSource) else folders:
            files = [(file, place) for file in self._listed(folder) if (place := self.choice.kind.place(file.name))]
            if files:
                return files
        return []

    def _checked(self, files: Sequence[tuple[RemoteFile, str]]) -> Offer:
        absent = self.choice.absent(place for _, place in files)
        self.choice.check_there(absent, self.source.label)
        taken: dict[str, RemoteFile] = {}
        for file, place in files:
            if self.choice.takes(place) and taken.setdefault(place, file) is not file:
                raise InvalidInputError(
                    f"{self.source.label} has {place} twice: as {taken[place].name} and as {file.name}.",
                    hint="Give a source further down as --source.",
                )
        return Offer(tuple((file, place) for place, file in self._sized(taken).items()), absent=tuple(absent))

    def _sized(self, taken: dict[str, RemoteFile]) -> dict[str, RemoteFile]:
        unsized = {place: file.name for place, file in taken.items() if file.size is None}
        found = dict(zip(unsized, self._stat_all(list(unsized.values())), strict=True))
        gone = next((unsized[place] for place, file in found.items() if file is None), None)
        if gone is not None:
            raise NotFoundError(f"{self.source.label} lists {gone}, but has no such file.", hint="Try another source.")
        return taken | {place: file for place, file in found.items() if file is not None}

    def _named_files(self) -> list[tuple[RemoteFile, str]]:
        """The files whose names are known, as far as they are there."""
        kind, units = self.choice.kind, self.choice.published()
        if units is None:
            return []
        if kind.unit == "snippet":
            places = [f"{unit}/{name}" for unit in units for name in EXPERT_FILES]
        else:
            places = [*units, METRICS]
        found = self._stat_all([f"{kind.folder}{place}" for place in places])
        return [(file, place) for file, place in zip(found, places, strict=True) if file is not None]

    def _listed(self, folder: str) -> list[RemoteFile]:
        return self.retries.call(lambda: list(self.source.files(folder)))

    def _stat(self, name: str) -> RemoteFile:
        return self.retries.call(partial(self.source.stat, name))

    def _stat_all(self, names: Sequence[str]) -> list[RemoteFile | None]:
        """Ask for many files at once; None for those that are not there."""
        found = []
        with self.progress.task("Looking for files", total=len(names), unit="files") as task:
            for one in ask_all(self._stat_if_there, names, _ASKERS):
                found.append(one)
                task.advance()
        return found

    def _stat_if_there(self, name: str) -> RemoteFile | None:
        try:
            return self._stat(name)
        except NotFoundError:
            return None


def _by_number(name: str) -> list[tuple[int, str]]:
    """Order names by the numbers in them: 10 after 9."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def size_of(files: Iterable[RemoteFile]) -> int:
    """Bytes of files, as far as they are known."""
    return sum(file.size or 0 for file in files)
