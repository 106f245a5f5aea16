"""What a fleet has come to: its experts in one table and one picture, and what has failed, with its log."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core import json_files
from mocapact_cli.core.datasets.metrics import write_metrics
from mocapact_cli.core.errors import MocapactError
from mocapact_cli.core.evaluation.expert_report import (
    NORM_LENGTH_THRESHOLD,
    ExpertCard,
    ExpertReport,
    below_threshold,
    read_curves,
)
from mocapact_cli.core.fleet.far import is_address
from mocapact_cli.core.fleet.status import DONE, FAILED, FleetStatus

if TYPE_CHECKING:
    from mocapact_cli.core.fleet.status import JobStatus

PICTURE, REPORT = "report.png", "report.json"


@dataclass(frozen=True)
class FleetReport:
    """The end of a fleet.

    Attributes:
        status: Where all jobs stand.
        experts: How good the experts of the finished jobs are.
        picture: Where they are drawn; None where there is nothing to draw.
    """

    status: FleetStatus
    experts: ExpertReport
    picture: Path | None

    @property
    def failed(self) -> list[JobStatus]:
        """Jobs that have failed too often."""
        return self.status.of(FAILED)

    def to_json(self) -> dict[str, Any]:
        """Return the document that `mocapact fleet report --json` prints."""
        status = self.status.to_json()
        kept = ("plan", "kind", "output", "total", "done", "running", "failed", "waiting")
        report = self.experts.to_json() if self.experts.cards else {}
        return {name: status[name] for name in kept} | {
            "failed_jobs": [failure(job) for job in self.failed],
            "picture": self.picture,
            "report": report,
        }


def failure(job: JobStatus) -> dict[str, Any]:
    """What is said of a job that has failed."""
    error, log = (job.last.error, job.last.log) if job.last else ({}, "")
    message = error.get("message", "")
    return {"job": job.job, "attempts": job.attempts, "error": message, "hint": error.get("hint", ""), "log": log}


def report_fleet(status: FleetStatus, *, threshold: float = NORM_LENGTH_THRESHOLD) -> FleetReport:
    """Gather what a fleet has come to, and draw it into `report.png` in the plan's folder.

    Args:
        status: Where it stands; what is not done is left out.
        threshold: Normalized length below which an expert fails.
    """
    done = status.of(DONE)
    cards = [_card(record, threshold) for job in done if job.last for record in job.last.result.get("cards", ())]
    cards.sort(key=lambda card: (-(card.norm_return if card.norm_return is not None else -1.0), card.snippet))
    experts = ExpertReport(tuple(cards), threshold)
    picture = experts.plot(status.folder / PICTURE) if cards else None
    report = FleetReport(status, experts, picture)
    json_files.write_json(status.folder / REPORT, report.to_json())
    return report


def complete_dataset(status: FleetStatus) -> Path | None:
    """Write the metrics of the dataset that a fleet has rolled out, once all of it is there.

    Returns:
        Where they are; None where the fleet did something else, is not done, or the files lie at an address.
    """
    if status.kind != "rollout" or is_address(status.output) or len(status.of(DONE)) < len(status.jobs):
        return None
    return write_metrics(Path(status.output))


def _card(record: dict[str, Any], threshold: float) -> ExpertCard:
    """The card of a record, with the curves that lie beside the expert if they can be read here."""
    known = {item.name for item in fields(ExpertCard)} - {"curves"}
    values = {name: value for name, value in record.items() if name in known}
    place, length = str(values["root"]), values.get("norm_length")
    root = place if is_address(place) else Path(place)
    if not values.get("reason") and length is not None and length < threshold:
        values["reason"] = below_threshold(length, threshold)
    try:
        curves = read_curves(root) if isinstance(root, Path) else {}
    except (MocapactError, OSError):
        curves = {}
    return ExpertCard(**values | {"root": root, "curves": curves})
