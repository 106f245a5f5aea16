"""Processors and memory: how many this process may use, and settings that make it use more, or far fewer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.cgroups import cgroup_memory
from mocapact_cli.core.doctor.findings import PROCESSORS
from mocapact_cli.core.formatting import counted, size_text
from mocapact_cli.core.processors import Processors, processors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mocapact_cli.core.doctor.findings import Finding

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
_UNBOUND = ("", "false", "none", "disabled")
_MEMINFO = Path("/proc/meminfo")
ENOUGH_BYTES, FEW_BYTES = 4 * 10**9, 15 * 10**8
"""Memory with which training is comfortable, and below which it may be ended by the system."""


def look_at_processors() -> Iterator[Finding]:
    """Say how many threads can run at once, and which settings are at odds with that."""
    limits = processors()
    yield _cores(limits)
    for name in THREAD_VARIABLES:
        yield from _threads(name, limits.available)
    yield from _bindings()
    if os.environ.get("OMP_WAIT_POLICY", "").upper() == "ACTIVE":
        text = "ACTIVE: waiting threads spin on the cores that the physics needs, which makes both several times slower"
        yield PROCESSORS.warning("OMP_WAIT_POLICY", text, "unset OMP_WAIT_POLICY")
    yield from _load(limits.available)


def _cores(limits: Processors) -> Finding:
    reasons = []
    if limits.affinity < limits.machine:
        reasons.append(f"affinity allows {limits.affinity}")
    if limits.quota is not None and limits.quota < limits.affinity:
        reasons.append(f"the control group gives the time of {limits.quota:g}")
    text = f"{counted(limits.available, 'thread')} at once on {counted(limits.machine, 'core')}"
    details = {"machine": limits.machine, "affinity": limits.affinity, "quota": limits.quota}
    return PROCESSORS.ok("cores", ": ".join([text, *([", ".join(reasons)] if reasons else [])]), **details)


def _threads(name: str, available: int) -> Iterator[Finding]:
    given = os.environ.get(name)
    if given is None:
        return
    # A list is for nested regions; the first of it counts here.
    count = given.partition(",")[0].strip()
    if not count.isdecimal() or int(count) == 0:
        yield PROCESSORS.warning(name, f"is {given!r}, which is no number of threads", f"unset {name}")
    elif int(count) > available:
        text = f"is {count}, but only {counted(available, 'thread')} can run at once: they will take turns"
        yield PROCESSORS.warning(name, text, f"unset {name}")
    elif int(count) < available:
        text = f"is {count} of {available}: what uses it works on {counted(int(count), 'thread')}"
        yield PROCESSORS.note(name, text, f"unset {name} to use all")
    else:
        yield PROCESSORS.ok(name, f"is {count}, as many as can run at once")


def _bindings() -> Iterator[Finding]:
    for name in _BINDING:
        given = os.environ.get(name)
        if given is not None and given.lower() not in _UNBOUND:
            text = f"is {given!r}: OpenMP binds this process to some cores, and the threads of the physics with it"
            yield PROCESSORS.warning(name, text, f"unset {name}")


def _load(available: int) -> Iterator[Finding]:
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):
        return
    if load > available + 0.5:
        text = f"{load:.1f} threads wanted to run in the last minute, {available} can: other programs share the cores"
        yield PROCESSORS.note("load", text, load=load)


def look_at_memory() -> Iterator[Finding]:
    """Say how much memory is there and free."""
    found = memory()
    if found is None:
        return
    total, free = found
    text = f"{size_text(free)} of {size_text(total)} free"
    details = {"total": total, "free": free}
    if total < FEW_BYTES or free < FEW_BYTES:
        remedy = "End other programs; use fewer environments (--num-envs) or a smaller batch"
        yield PROCESSORS.warning("memory", f"{text}: training may be ended by the system", remedy, **details)
    elif free < ENOUGH_BYTES:
        yield PROCESSORS.note("memory", f"{text}: enough for small runs", "", **details)
    else:
        yield PROCESSORS.ok("memory", text, **details)


def memory(meminfo: Path = _MEMINFO, group: tuple[int, int] | None = None) -> tuple[int, int] | None:
    """Return bytes of memory in all and free, as far as this process may use them; None where the system says nothing.

    Args:
        meminfo: The system's file.
        group: The same of the control group; None to ask for it.
    """
    try:
        lines = meminfo.read_text(encoding="utf-8").splitlines()
        sizes = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
        total, free = sizes["MemTotal"], sizes["MemAvailable"]
    except (OSError, ValueError, KeyError, IndexError):
        return None
    allowed, left = group or cgroup_memory() or (total, free)
    return min(total, allowed), min(free, left)
