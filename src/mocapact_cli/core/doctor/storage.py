"""The disk under MOCAPACT_HOME: whether it can be written and locked, what kind it is, and how much room there is."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.doctor.findings import STORAGE
from mocapact_cli.core.formatting import size_text
from mocapact_cli.core.paths import HOME_VARIABLE, home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mocapact_cli.core.doctor.findings import Finding

FULL_BYTES, LITTLE_BYTES = 10**8, 5 * 10**9
"""Free space below which nothing works, and below which nothing large does."""
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "lustre", "gpfs", "beegfs", "ceph", "afs")
_IN_MEMORY = ("tmpfs", "ramfs")
_MOUNTS = Path("/proc/self/mounts")
_ELSEWHERE = f"export {HOME_VARIABLE}=/a/folder/that/you/can/write"


def look_at_home() -> Iterator[Finding]:
    """Write, rename and lock a file where data goes, and say how much room there is."""
    folder = home()
    place = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    about = str(folder) if place == folder else f"{folder} (to be made)"
    if not place.is_dir():
        yield STORAGE.problem("home", f"{place} is no folder", _ELSEWHERE, path=str(folder))
        return
    try:
        locks = _written_and_locked(place)
    except OSError as error:
        yield STORAGE.problem("home", f"{about} cannot be written: {error.strerror}", _ELSEWHERE, path=str(folder))
        return
    kind = file_system(place)
    yield STORAGE.ok("home", f"{about} can be written{f' ({kind})' if kind else ''}", path=str(folder), kind=kind)
    if not locks:
        text = f"{about} has no locks: nothing keeps two downloads from the same folder"
        yield STORAGE.warning("locks", text, "Run one download at a time, or choose a local disk by MOCAPACT_HOME")
    yield from _about_kind(kind)
    yield _space(place)


def _written_and_locked(place: Path) -> bool:
    """Write, sync and rename a file, and return whether it can be locked."""
    import filelock

    with tempfile.TemporaryDirectory(prefix=".mocapact-doctor-", dir=place) as folder:
        written = Path(folder, "written")
        with written.open("wb") as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
        written.replace(Path(folder, "renamed"))
        lock = filelock.FileLock(Path(folder, "lock"))
        try:
            lock.acquire(blocking=False)
        except (NotImplementedError, filelock.Timeout):
            return False
        lock.release()
    return True


def file_system(path: Path, mounts: Path = _MOUNTS) -> str:
    """Return the type of the file system that a path lies on, such as `ext4`; empty where the system does not say."""
    try:
        lines = os.fsdecode(mounts.read_bytes()).splitlines()
    except OSError:
        return ""
    parts = [line.split() for line in lines]
    known = [(Path(_without_escapes(part[1])), part[2]) for part in parts if len(part) > 2]
    place = path.resolve()
    around = [(mount, kind) for mount, kind in known if place.is_relative_to(mount)]
    # Of several at one place the last covers the others, as one that was mounted automatically does.
    return max(reversed(around), key=lambda entry: len(entry[0].parts))[1] if around else ""


def _without_escapes(name: str) -> str:
    """Return a name as it is: spaces and some other letters are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), name)


def _about_kind(kind: str) -> Iterator[Finding]:
    if kind in _IN_MEMORY:
        yield STORAGE.note("file system", f"{kind}: all of it is lost when the machine restarts", _ELSEWHERE)
    elif kind in _REMOTE:
        text = f"{kind}, over a network: training reads datasets from it at the network's speed"
        yield STORAGE.note("file system", text, "Copy datasets to a local disk and name them by --dataset")


def _space(place: Path) -> Finding:
    usage = shutil.disk_usage(place)
    text = f"{size_text(usage.free)} of {size_text(usage.total)} free"
    details = {"free": usage.free, "total": usage.total}
    if usage.free < FULL_BYTES:
        return STORAGE.problem(
            "space", f"{text}: the disk is full", "Free some space, or move MOCAPACT_HOME", **details
        )
    if usage.free < LITTLE_BYTES:
        return STORAGE.warning("space", f"{text}: too little for a dataset", "Free some space", **details)
    return STORAGE.ok("space", text, **details)
