"""What Linux's control groups leave this process of the machine, as containers and Slurm limit it."""

from __future__ import annotations

import contextlib
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def cgroup_quota(cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> float | None:
    """Return the processors' worth of time that control groups leave this process; None where they set no limit.

    Args:
        cgroups: Where the system shows its control groups, of either version.
        membership: The file that says in which this process is.
    """
    limits = [_quota(folder) for folder in _folders(cgroups, membership, controller="cpu")]
    return min((limit for limit in limits if limit is not None), default=None)


def cgroup_memory(cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> tuple[int, int] | None:
    """Return the bytes of memory that control groups allow this process, and how many of them are free.

    None where they set no limit.

    Args:
        cgroups: Where the system shows its control groups, of either version.
        membership: The file that says in which this process is.
    """
    found = [_memory(folder) for folder in _folders(cgroups, membership, controller="memory")]
    limited = [memory for memory in found if memory is not None]
    return (min(limit for limit, _ in limited), min(free for _, free in limited)) if limited else None


def _folders(cgroups: Path, membership: Path, *, controller: str) -> list[Path]:
    """The folders of this process's group and of all above it; a container sees its own group as the root."""
    found: list[Path] = []
    for root, group in _groups(cgroups, membership, controller):
        parts = [part for part in group.split("/") if part not in ("", "..")]
        found += [root.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]
    return found


def _groups(cgroups: Path, membership: Path, controller: str) -> list[tuple[Path, str]]:
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    groups = []
    for line in lines:
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            groups.append((cgroups, group))
        elif controller in controllers.split(","):
            groups += [(cgroups / controllers, group), (cgroups / controller, group)]
    return groups


def _quota(folder: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        return None if quota == "max" else int(quota) / int(period)
    quota_us, period_us = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota_us / period_us if quota_us and period_us and quota_us > 0 else None


def _memory(folder: Path) -> tuple[int, int] | None:
    limit = _first_number(folder, "memory.max", "memory.limit_in_bytes")
    # Version 1 says "no limit" by a number close to the largest there is.
    if limit is None or limit >= 1 << 60:
        return None
    used = _first_number(folder, "memory.current", "memory.usage_in_bytes") or 0
    return int(limit), int(max(0, limit - max(0, used - _reclaimable(folder))))


def _reclaimable(folder: Path) -> int:
    """Bytes that the system keeps of files that were read, and gives up when memory is asked for."""
    with contextlib.suppress(OSError, ValueError):
        lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
        sizes = dict(line.split(maxsplit=1) for line in lines)
        return int(sizes.get("total_inactive_file", sizes.get("inactive_file", 0)))
    return 0


def _first_number(folder: Path, *names: str) -> float | None:
    return next((number for name in names if (number := _number(folder / name)) is not None), None)


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
