"""Single recordings from the server of the CMU Graphics Lab, converted onto the walker as they arrive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mocapact_cli.core.clips.importing import import_recordings
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.paths import data_dir
from mocapact_cli.core.remote.catalog import MOCAP
from mocapact_cli.core.remote.opening import open_address, open_path
from mocapact_cli.core.remote.retries import Retries
from mocapact_cli.core.remote.transfer import JOBS, fetch_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mocapact_cli.core.clips.report import ImportReport
    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.remote.download import Checking
    from mocapact_cli.core.remote.files import RemoteFile, Source

CMU = "http://mocap.cs.cmu.edu"
_TRIAL = re.compile(r"(?:CMU_)?(\d{1,3})_(\d{1,2})", re.ASCII | re.IGNORECASE)
_KEPT = "recordings"


@dataclass(frozen=True, order=True)
class Trial:
    """One recording of the CMU database.

    Attributes:
        subject: The actor's number.
        number: Of the recording.
    """

    subject: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Trial:
        """Read `CMU_009_01` or `09_01`.

        Raises:
            UsageError: It is neither.
        """
        found = _TRIAL.fullmatch(text)
        if found is None:
            raise UsageError(f"{text!r} is no trial of the CMU database.", hint="Write 09_01 or CMU_009_01.")
        return cls(int(found[1]), int(found[2]))

    @property
    def clip_id(self) -> str:
        """The clip that it becomes."""
        return f"CMU_{self.subject:03d}_{self.number:02d}"

    @property
    def motion(self) -> str:
        """Name of its AMC file on the server."""
        return f"subjects/{self.subject:02d}/{self.subject:02d}_{self.number:02d}.amc"

    @property
    def skeleton(self) -> str:
        """Name of its actor's ASF file there."""
        return f"subjects/{self.subject:02d}/{self.subject:02d}.asf"


@dataclass(frozen=True)
class FetchedRecording:
    """A recording that is a clip now.

    Attributes:
        path: The mocap file with the clip.
        report: Of the conversion.
    """

    path: Path
    report: ImportReport


def fetch_recordings(
    trials: Sequence[Trial],
    url: str | None = None,
    *,
    jobs: int = JOBS,
    checksum: Checking = "fail",
    progress: Progress,
    retries: Retries | None = None,
) -> list[FetchedRecording]:
    """Fetch recordings and put each where clips are looked up, as a mocap file of its own.

    The files as they came are kept beside (`data/recordings`), so that they are fetched once.

    Args:
        trials: Which.
        url: A server or folder in the layout of CMU's; None for CMU's.
        jobs: Connections at once.
        checksum: What a wrong checksum means, where the server has any.
        progress: Told about bytes and conversions.
        retries: When an attempt that failed is made again.

    Raises:
        NotFoundError: The server has no such recording.
        InvalidInputError: A file is no recording.
        RunError: The server cannot be reached.
    """
    opened = open_path(url) if url and "://" not in url else open_address(url or CMU)
    retries, folder = retries or Retries(), data_dir(_KEPT)
    chosen = sorted(set(trials))
    motions = [retries.call(partial(opened.source.stat, trial.motion)) for trial in chosen]
    skeletons = _skeletons(opened.source, {trial.skeleton for trial in chosen}, retries)
    fetch_all(
        opened.source,
        [*skeletons, *motions],
        folder,
        prefix="subjects/",
        jobs=jobs,
        checksum=checksum,
        progress=progress,
        retries=retries,
    )
    return [_convert(trial, folder / trial.motion.removeprefix("subjects/"), progress) for trial in chosen]


def _skeletons(source: Source, names: set[str], retries: Retries) -> list[RemoteFile]:
    """Those that are there: without one the importer estimates the actor's size."""
    found = []
    for name in sorted(names):
        try:
            found.append(retries.call(partial(source.stat, name)))
        except NotFoundError:
            continue
    return found


def _convert(trial: Trial, recording: Path, progress: Progress) -> FetchedRecording:
    # Behind dm_control's file in the alphabet: where both have a clip, the published data belongs to that one.
    output = data_dir(MOCAP) / f"recording_{trial.clip_id}.h5"
    try:
        (report,) = import_recordings([recording], output, force=True, progress=progress)
    except InvalidInputError as error:
        # It may have been an error page: the next call fetches it again.
        recording.unlink(missing_ok=True)
        raise InvalidInputError(error.message, hint="Run it again; if it says the same, try another --url.") from error
    return FetchedRecording(output, report)
