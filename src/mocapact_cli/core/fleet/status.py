"""How far a fleet is, read from its records by whoever wants to know."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.fleet.plan import plan_folder, read_plan
from mocapact_cli.core.fleet.records import Attempt, Records
from mocapact_cli.core.fleet.storage import open_output
from mocapact_cli.core.json_files import read_json_object

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from mocapact_cli.core.fleet.plan import Job, Plan

SESSION = "session.json"
"""Who drives the plan now, or did last."""
DONE, RUNNING, FAILED, WAITING = "done", "running", "failed", "waiting"
LOST_LIMIT = 20
"""How often a job may go down with its machine or its driver; one that does each time may be what takes them down."""
SHOWN = 5
"""Best and worst experts that are named."""


@dataclass(frozen=True)
class JobStatus:
    """Where one job stands.

    Attributes:
        job: Its id.
        state: Done, running, failed or waiting.
        attempts: How many were begun.
        last: The last of them; None where there is none.
    """

    job: str
    state: str
    attempts: int = 0
    last: Attempt | None = None

    @property
    def score(self) -> float | None:
        """Mean normalized return of what came of it."""
        cards = self.last.result.get("cards", []) if self.last else []
        scores = [card["norm_return"] for card in cards if card.get("norm_return") is not None]
        return sum(scores) / len(scores) if scores else None

    @property
    def share(self) -> float:
        """How much of a running job is done, as far as it has said."""
        progress = self.last.progress if self.last else {}
        total, done = progress.get("total"), progress.get("done")
        return min(1.0, done / total) if total and done else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return what programs read of it."""
        document: dict[str, Any] = {"job": self.job, "state": self.state, "attempts": self.attempts}
        if self.last is None:
            return document
        document |= {"host": self.last.host, "log": self.last.log, "score": self.score}
        kept = {"progress": self.last.progress, "error": self.last.error}
        return document | {name: value for name, value in kept.items() if value}


@dataclass(frozen=True)
class FleetStatus:
    """Where all jobs of a plan stand.

    Attributes:
        folder: The plan's.
        kind: What it does.
        output: Where results go.
        jobs: Each job's status, in the plan's order.
        session: Who drives it, since when (`started`, Unix time) and whether still (`ended`).
        now: Unix time.
    """

    folder: Path
    kind: str
    output: str
    jobs: tuple[JobStatus, ...]
    session: Mapping[str, Any] = field(default_factory=dict)
    now: float = 0.0

    def of(self, state: str) -> list[JobStatus]:
        """The jobs in one state."""
        return [job for job in self.jobs if job.state == state]

    def counts(self) -> dict[str, int]:
        """Number of jobs by state."""
        return {state: len(self.of(state)) for state in (DONE, RUNNING, FAILED, WAITING)}

    @property
    def elapsed(self) -> float:
        """Seconds since the last driver began, until it ended."""
        return max(float(self.session.get("ended") or self.now) - self.began, 0.0)

    @property
    def began(self) -> float:
        """When the last driver began; workers without one began with their first job."""
        first = min((job.last.started for job in self.jobs if job.last), default=self.now)
        return float(self.session.get("started", first))

    @property
    def rate(self) -> float | None:
        """Jobs a second since then, parts of running ones included; None where nothing is known yet."""
        ended = sum(1 for job in self.of(DONE) if job.last and (job.last.ended or 0.0) >= self.began)
        moved = ended + sum(job.share for job in self.of(RUNNING))
        return moved / self.elapsed if moved and self.elapsed else None

    @property
    def remaining(self) -> float | None:
        """Seconds to the end at this rate; None where it is not known, 0 where nothing is left."""
        left = len(self.of(WAITING)) + sum(1.0 - job.share for job in self.of(RUNNING))
        return 0.0 if not left else left / self.rate if self.rate else None

    def ranked(self) -> list[tuple[str, float]]:
        """Jobs that are done and their mean normalized returns, the best first."""
        scored = [(job.job, job.score) for job in self.of(DONE)]
        return sorted(((name, score) for name, score in scored if score is not None), key=lambda pair: -pair[1])

    def to_json(self) -> dict[str, Any]:
        """Return the document that `mocapact fleet status --json` prints."""
        ranked = self.ranked()
        return {
            "plan": self.folder,
            "kind": self.kind,
            "output": self.output,
            "total": len(self.jobs),
            **self.counts(),
            "driver": dict(self.session),
            "jobs_per_hour": None if self.rate is None else 3600.0 * self.rate,
            "eta_s": self.remaining,
            "best": [{"job": name, "norm_return": score} for name, score in ranked[:SHOWN]],
            "worst": [{"job": name, "norm_return": score} for name, score in ranked[::-1][:SHOWN]],
            "jobs": [job.to_json() for job in self.jobs],
        }


class Board:
    """Keeps the status of a plan up to date.

    Args:
        folder: The plan's folder.
        plan: The plan.
        records: What was tried.
    """

    def __init__(self, folder: Path, plan: Plan, records: Records) -> None:
        self.folder, self.plan, self.records = folder, plan, records
        self.forgiven: dict[str, int] = {}
        """Number of each job's last attempt that no longer counts as a failure."""
        self._void: dict[str, int] | None = None

    def status(self) -> FleetStatus:
        """Read the records and say where all jobs stand."""
        attempts = self.records.read()
        if self._void is None:
            self._void = self._without_result(attempts)
        jobs = tuple(self._job(job, attempts.get(job.id, []), self._void) for job in self.plan.jobs)
        session = read_session(self.folder)
        return FleetStatus(self.folder, self.plan.kind, self.plan.output, jobs, session, time.time())

    def _without_result(self, attempts: Mapping[str, list[Attempt]]) -> dict[str, int]:
        """Attempts that say that they have finished, but whose results are gone; what finishes later is believed."""
        finished = {job: tries[-1].number for job, tries in attempts.items() if tries[-1].state == "finished"}
        there = open_output(self.plan).present([job for job in self.plan.jobs if job.id in finished])
        return {job: number for job, number in finished.items() if job not in there}

    def _job(self, job: Job, attempts: list[Attempt], void: Mapping[str, int]) -> JobStatus:
        if not attempts:
            return JobStatus(job.id, WAITING)
        last = attempts[-1]
        if last.state == "finished":
            return JobStatus(job.id, WAITING if void.get(job.id) == last.number else DONE, last.number, last)
        return JobStatus(job.id, self._open_state(job, attempts), last.number, last)

    def _open_state(self, job: Job, attempts: list[Attempt]) -> str:
        if self.records.is_alive(attempts[-1]):
            return RUNNING
        counted = [attempt for attempt in attempts if attempt.number > self.forgiven.get(job.id, 0)]
        failures = sum(attempt.counts for attempt in counted)
        hopeless = any(attempt.hopeless for attempt in counted)
        lost = sum(attempt.state in ("lost", "running") for attempt in counted)
        over = hopeless or failures > self.plan.max_retries or lost >= LOST_LIMIT
        return FAILED if over else WAITING


def read_session(folder: Path) -> dict[str, Any]:
    """Who drives a plan, or did last; empty where nobody did."""
    try:
        return read_json_object(folder / SESSION)
    except (NotFoundError, InvalidInputError):
        return {}


def read_status(folder: Path) -> FleetStatus:
    """Say how far a plan is, from any machine that sees its folder.

    Raises:
        NotFoundError: There is no plan.
        InvalidInputError: It is damaged, or of another version.
    """
    folder = plan_folder(folder)
    plan = read_plan(folder)
    return Board(folder, plan, Records(folder)).status()


def startable(status: FleetStatus, running: Collection[str], first: Collection[str] = ()) -> list[JobStatus]:
    """Jobs that could be begun, in the plan's order; those of `first` before all others."""
    waiting = [job for job in status.of(WAITING) if job.job not in running]
    return sorted(waiting, key=lambda job: job.job not in first)
