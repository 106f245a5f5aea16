"""Which machine this is, whether a process on it still lives, and which of its cores are free."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator


@functools.cache
def machine_id() -> str:
    """A name for this boot of this machine, and for what of its processes can be seen from here."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return "|".join(parts)


def process_stamp(pid: int) -> str | None:
    """When a process began, in the system's own words; None where it is gone, and empty where nobody says."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    # A process that has ended but was not asked for by its parent is gone, too.
    return None if fields[0] in "ZX" else fields[19]


def lives(pid: int, stamp: str) -> bool:
    """Whether the process that began then still runs on this machine."""
    now = process_stamp(pid)
    return now is not None and (not stamp or not now or now == stamp)


def cores_here() -> list[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextlib.contextmanager
def own_cores(count: int) -> Iterator[list[int]]:
    """Take so many cores that no other job on this machine has, and yield their numbers.

    Empty where there are not enough, or where processes cannot be bound to cores: the system then distributes them.
    """
    with contextlib.ExitStack() as stack:
        taken: list[int] = []
        for core in cores_here() if hasattr(os, "sched_setaffinity") else ():
            if len(taken) == count:
                break
            with contextlib.suppress(Timeout, OSError, NotImplementedError):
                stack.enter_context(FileLock(_locks() / f"{core}.lock", timeout=0))
                taken.append(core)
        if len(taken) < count:
            stack.close()
            taken = []
        yield taken


def _locks() -> Path:
    folder = Path(tempfile.gettempdir()) / f"mocapact-cores-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
