"""Jobs on machines that do not see the plan's folder: the plan goes with the job, its record and its log come back.

Only what has an address can be the output of such a job. While it runs, nothing is heard of it but that it runs.
"""

from __future__ import annotations

import hashlib
import socket
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from mocapact_cli.core import paths
from mocapact_cli.core.errors import NotFoundError
from mocapact_cli.core.fleet.far import is_address
from mocapact_cli.core.fleet.plan import PLAN_FILE, Plan, read_plan, write_plan
from mocapact_cli.core.fleet.records import Attempt, Records
from mocapact_cli.core.fleet.supervise import supervise


@dataclass(frozen=True)
class Carried:
    """What came of a job.

    Attributes:
        attempt: Its record.
        log: What it said, where nobody else can read its log; None where the folder is shared.
    """

    attempt: Attempt
    log: bytes | None = None


def do_anywhere(folder: str, plan: Plan, job_id: str, seen: int) -> Carried:
    """Do a job on this machine, whether or not it sees the plan's folder.

    Args:
        folder: The plan's folder where it was made.
        plan: The plan.
        job_id: The job.
        seen: Number of the last attempt at it; 0 for none.

    Raises:
        NotFoundError: The folder is not to be seen from here, and the results have no address.
        TakenError: Others do the job.
    """
    if _sees(folder, plan):
        return Carried(supervise(Path(folder), job_id, seen, stop=threading.Event()))
    if not is_address(plan.output):
        raise NotFoundError(
            f"{folder} is not to be seen on {socket.gethostname()}.",
            hint="Put plan and output on a path that all nodes share (--plan, -o), or give an address as output.",
        )
    place = paths.runs_dir("fleet") / "carried" / hashlib.sha256(f"{folder} {plan.output}".encode()).hexdigest()[:12]
    write_plan(place, plan)
    # Attempts that this machine has lost were never told at home.
    seen = max([seen, *(attempt.number for attempt in Records(place).of(job_id))])
    attempt = supervise(place, job_id, seen, stop=threading.Event())
    return Carried(attempt, Path(attempt.log).read_bytes())


def bring_home(folder: Path, carried: Carried) -> Attempt:
    """Write the record and the log of a job that was done where this folder is not to be seen."""
    if carried.log is None:
        return carried.attempt
    records = Records(folder)
    attempt = replace(carried.attempt, log=str(records.log_of(carried.attempt.job, carried.attempt.number)))
    Path(attempt.log).parent.mkdir(parents=True, exist_ok=True)
    Path(attempt.log).write_bytes(carried.log)
    records.save(attempt)
    return attempt


def _sees(folder: str, plan: Plan) -> bool:
    """Whether the folder here is that one: another plan may lie under its name."""
    if not Path(folder, PLAN_FILE).is_file():
        return False
    there = read_plan(Path(folder))
    return (there.output, there.jobs) == (plan.output, plan.jobs)
