"""How many processors this process may keep busy: by its affinity, and by the time that its control group is given."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from mocapact_cli.core.cgroups import cgroup_quota


@dataclass(frozen=True)
class Processors:
    """What limits the processors of this process.

    Attributes:
        machine: All that the machine has.
        affinity: Those on which the process may run.
        quota: Processors' worth of time that its control group is given, as containers limit it; None for no limit.
    """

    machine: int
    affinity: int
    quota: float | None

    @property
    def available(self) -> int:
        """How many threads can run at once; more of them only take turns."""
        return self.affinity if self.quota is None else min(self.affinity, max(1, math.ceil(self.quota)))


def processors() -> Processors:
    """Return what limits this process."""
    machine = os.cpu_count() or 1
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    return Processors(machine, affinity, cgroup_quota())


def available_threads() -> int:
    """Processors that this process may use."""
    return processors().available
