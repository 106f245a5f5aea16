"""Fetching files: over several connections, taken up again by any later process, verified, and put in their place."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import RunError, UsageError
from mocapact_cli.core.formatting import counted
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.remote.crew import Crew
from mocapact_cli.core.remote.download import Download, Fetched, Meter, Setting, StoppedError
from mocapact_cli.core.remote.folder import Records, check_space, inside, locked
from mocapact_cli.core.remote.partial import partial_path
from mocapact_cli.core.remote.retries import Retries, capital

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.remote.download import Checking
    from mocapact_cli.core.remote.files import RemoteFile, Source

JOBS = 8
"""Connections at once."""
_SAY_EVERY_S = 10.0
_SAY_FROM_S = 2.0


def fetch(
    source: Source,
    file: RemoteFile,
    destination: Path,
    *,
    jobs: int = JOBS,
    checksum: Checking = "fail",
    progress: Progress | None = None,
    retries: Retries | None = None,
) -> Fetched:
    """Fetch one file to a path, as `fetch_all` does."""
    placed, folder = [(file, destination)], destination.parent
    (fetched,) = _fetch(source, placed, folder, jobs=jobs, checksum=checksum, progress=progress, retries=retries)
    return fetched


def fetch_all(
    source: Source,
    files: Iterable[RemoteFile],
    folder: Path,
    *,
    prefix: str = "",
    places: Mapping[str, str] | None = None,
    jobs: int = JOBS,
    checksum: Checking = "fail",
    progress: Progress | None = None,
    retries: Retries | None = None,
) -> list[Fetched]:
    """Fetch files into a folder. What is complete there is not fetched again, and what is half there goes on.

    Only one process may fetch into a folder at a time. A file that changes at the source meanwhile is fetched anew,
    with a message; after Ctrl-C or any failure, all that came is kept for the next call.

    Args:
        source: Where they come from.
        files: A name is enough; a size and a checksum without a version are what the file must have.
        folder: Made if it is missing.
        prefix: Taken off the names of the files below the folder.
        places: Name -> path below the folder, instead of the name.
        jobs: Connections at once, for one file or for several.
        checksum: What a wrong checksum means, for files that have one.
        progress: Told of bytes, in megabytes, and of what is worth a line.
        retries: When an attempt that failed is made again.

    Returns:
        Where they are, in the order of `files`.

    Raises:
        RunError: The network failed for too long, the disk is full, or another process is at work there.
        NotFoundError, AccessError: Of the source.
        InvalidInputError: A checksum is wrong, or a name is not safe.
    """
    given = places or {}
    names = ((file, given.get(file.name, file.name.removeprefix(prefix).lstrip("/"))) for file in files)
    placed = [(file, inside(folder, name)) for file, name in names]
    return _fetch(source, placed, folder, jobs=jobs, checksum=checksum, progress=progress, retries=retries)


def _fetch(
    source: Source,
    placed: Sequence[tuple[RemoteFile, Path]],
    folder: Path,
    *,
    jobs: int,
    checksum: Checking,
    progress: Progress | None,
    retries: Retries | None,
) -> list[Fetched]:
    if jobs < 1:
        raise UsageError("At least one connection is needed.", hint="Raise --jobs.")
    progress, stop = progress or NullProgress(), threading.Event()
    what = placed[0][0].name if len(placed) == 1 else counted(len(placed), "file")
    with locked(folder), progress.task(f"Fetching {what}", None, "MB") as bar:
        records = Records(folder)
        _check_space(placed, folder, records)
        patient = _patient(retries or Retries(), stop, progress)
        setting = Setting(
            source, records, checksum, patient, progress, Meter(bar), jobs, bars=len(placed) > 1, stop=stop
        )
        # One that is named twice is fetched once.
        downloads = {path: Download(file, path, setting) for file, path in placed}
        Crew(list(downloads.values()), jobs, stop).run()
    return [_result(downloads[path]) for _, path in placed]


def _result(download: Download) -> Fetched:
    if download.result is None:
        raise RunError(f"{download.path} was not fetched.", hint="Run the same command again.")
    return download.result


def _check_space(placed: Sequence[tuple[RemoteFile, Path]], folder: Path, records: Records) -> None:
    """See that all files fit whose size is known, before the first byte comes."""
    missing = [(file, path) for file, path in placed if file.size and not records.complete(path, file)]
    # One of the right size may turn out to be the file; where not, its space is looked at when it is begun.
    missing = [(file, path) for file, path in missing if not path.is_file() or path.stat().st_size != file.size]
    present = [partial_path(path) for _, path in missing]
    there = sum(path.stat().st_blocks * 512 for path in present if path.exists())
    check_space(folder, sum(file.size or 0 for file, _ in missing) - there)


def _patient(retries: Retries, stop: threading.Event, progress: Progress) -> Retries:
    """Let waits end when the work does, and say why nothing comes, now and then."""
    sleep, on_wait, said = retries.sleep, retries.on_wait, [-_SAY_EVERY_S]

    def wait(seconds: float) -> None:
        if sleep is time.sleep:
            stop.wait(seconds)
        else:
            sleep(seconds)
        if stop.is_set():
            raise StoppedError

    def say(reason: str, seconds: float) -> None:
        on_wait(reason, seconds)
        now = time.monotonic()
        if seconds >= _SAY_FROM_S and now - said[0] >= _SAY_EVERY_S:
            said[0] = now
            progress.message(f"{capital(reason)}; trying again in {seconds:.0f} s.")

    return replace(retries, sleep=wait, on_wait=say)
