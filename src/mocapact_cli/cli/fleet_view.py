"""How a fleet is shown: the live table, its last state, and the report."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from mocapact_cli.cli.output import facts, out, table
from mocapact_cli.cli.progress import format_rate, format_seconds
from mocapact_cli.core.fleet.status import DONE, FAILED, RUNNING, SHOWN, WAITING
from mocapact_cli.core.formatting import counted, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mocapact_cli.core.fleet.driver import Watcher
    from mocapact_cli.core.fleet.report import FleetReport
    from mocapact_cli.core.fleet.status import FleetStatus, JobStatus

ROWS = 20
"""Running jobs that are shown at once."""


def status_tables(status: FleetStatus) -> list[Any]:
    """Return what people see of a fleet: counts and pace, running jobs, failed ones."""
    shown: list[Any] = [facts(_summary(status), title=f"{status.kind} {status.folder}")]
    running, failed = status.of(RUNNING), status.of(FAILED)
    if running:
        rows = [_running_row(job, status.now) for job in running[:ROWS]]
        title = f"Running{f' (the first {ROWS} of {len(running):,})' if len(running) > ROWS else ''}"
        shown.append(table(["Job", "Done", "Minutes", "Attempt", "Host", "Says"], rows, title=title))
    if failed:
        shown.append(failed_table(failed))
    return shown


def failed_table(failed: list[JobStatus]) -> Any:
    """Return the table of failed jobs, with why and where the log lies."""
    rows = [(job.job, job.attempts, _why(job), job.last.log if job.last else "") for job in failed]
    return table(["Job", "Attempts", "Error", "Log"], rows, title="Failed", numeric=["Attempts"])


def report_views(report: FleetReport) -> list[Any]:
    """Return the report of a fleet that has come to its end."""
    from mocapact_cli.cli.expert_report_view import report_tables

    status = report.status
    shown = report_tables(report.experts) if report.experts.cards else []
    if report.failed:
        shown.append(failed_table(report.failed))
    shown.append(facts(_summary(status) | {"Results": status.output, "Picture": report.picture}))
    return [*shown, *([f"Next: {command}"] if (command := _next(report)) else [])]


@contextlib.contextmanager
def watching(total: int) -> Iterator[Watcher]:
    """Show a fleet while it runs: a live table on a terminal, a line now and then elsewhere, nothing if quiet."""
    if out.is_live:
        from rich.console import Group
        from rich.live import Live

        with Live(console=out.stderr, refresh_per_second=2, transient=True) as live:
            yield lambda status: live.update(Group(*status_tables(status)))
        return
    with out.progress().task("Fleet", total=total, unit="jobs") as task:
        reported: set[str] = set()

        def watch(status: FleetStatus) -> None:
            _tell_failures(status, reported)
            counts = status.counts()
            task.update(completed=counts[DONE], running=str(counts[RUNNING]), failed=str(counts[FAILED]))

        yield watch


def _tell_failures(status: FleetStatus, reported: set[str]) -> None:
    for job in status.of(FAILED):
        if job.job not in reported:
            reported.add(job.job)
            out.message(f"{job.job} has failed: {_why(job)} Log: {job.last.log if job.last else ''}")


def _summary(status: FleetStatus) -> dict[str, Any]:
    counts = status.counts()
    rows = {"Jobs": ", ".join(f"{counts[state]:,} {state}" for state in (DONE, RUNNING, FAILED, WAITING))}
    if status.rate:
        left = f", {format_seconds(status.remaining)} left" if status.remaining else ""
        rows["Rate"] = f"{format_rate(3600.0 * status.rate)} jobs an hour{left}"
    ranked = status.ranked()
    if ranked:
        rows["Best"] = _named(ranked[:SHOWN])
    if len(ranked) > SHOWN:
        rows["Worst"] = _named(ranked[::-1][:SHOWN])
    return rows


def _named(ranked: list[tuple[str, float]]) -> str:
    return ", ".join(f"{job} ({score:.3f})" for job, score in ranked)


def _running_row(job: JobStatus, now: float) -> list[Any]:
    assert job.last is not None
    known = {"done", "total", "unit"}
    says = "  ".join(f"{name} {value}" for name, value in job.last.progress.items() if name not in known)
    minutes = max(now - job.last.started, 0.0) / 60.0
    return [job.job, f"{job.share:.0%}", f"{minutes:,.1f}", job.attempts, job.last.host, says]


def _why(job: JobStatus) -> str:
    return str(job.last.error.get("message", "")) if job.last else ""


def _next(report: FleetReport) -> str:
    status = report.status
    if report.failed:
        failed = counted(len(report.failed), "failed job")
        return f"mocapact fleet run {quoted(status.folder)} --retry-failed (tries the {failed} again)"
    follow = {
        "train": f"mocapact fleet rollout {quoted(status.output)} -o dataset",
        "rollout": f"mocapact distill train --dataset {quoted(status.output)}",
    }
    return follow.get(status.kind, "")
