from __future__ import annotations

import json
from pathlib import Path

import pytest

from mocapact_cli.core.fleet.records import Attempt
from mocapact_cli.core.fleet.report import complete_dataset, report_fleet
from mocapact_cli.core.fleet.status import FleetStatus, JobStatus


def card(snippet: str, norm_return: float, norm_length: float, root: str = "/gone/x") -> dict:
    return {"root": root, "snippet": snippet, "norm_return": norm_return, "norm_length": norm_length, "timesteps": 64}


def status(folder: Path, *jobs: JobStatus, kind: str = "train", output: str = "/out") -> FleetStatus:
    return FleetStatus(folder, kind, output, jobs)


def done(*cards: dict) -> JobStatus:
    return JobStatus(cards[0]["snippet"], "done", 1, Attempt("", 1, "finished", result={"cards": list(cards)}))


FAILED = JobStatus("c", "failed", 3, Attempt("c", 3, "failed", error={"message": "no such clip"}, log="/logs/c.3.log"))


def test_the_report_ranks_experts_and_names_what_fails(tmp_path: Path) -> None:
    jobs = (done(card("a", 0.2, 0.5)), done(card("b", 0.7, 1.0)), FAILED, JobStatus("d", "waiting"))
    report = report_fleet(status(tmp_path, *jobs), threshold=0.98)
    assert [expert.snippet for expert in report.experts.cards] == ["b", "a"]
    assert [expert.snippet for expert in report.experts.failing] == ["a"]
    document = report.to_json()
    (failed,) = document["failed_jobs"]
    assert failed == {"job": "c", "attempts": 3, "error": "no such clip", "hint": "", "log": "/logs/c.3.log"}
    assert document["report"]["norm_return"]["mean"] == pytest.approx(0.45)
    assert (tmp_path / "report.png").stat().st_size > 5_000
    assert json.loads((tmp_path / "report.json").read_text())["failed"] == 1


def test_experts_at_addresses_keep_them(tmp_path: Path) -> None:
    address = "s3://bucket/experts/a/0"
    report = report_fleet(status(tmp_path, done(card("a", 0.2, 1.0, address)), output="s3://bucket/experts"))
    assert report.experts.cards[0].root == address


def test_a_fleet_of_which_nothing_is_done_has_a_report_too(tmp_path: Path) -> None:
    report = report_fleet(status(tmp_path, FAILED))
    assert report.picture is None
    assert report.to_json()["report"] == {}


def test_metrics_of_a_dataset_come_with_its_last_file(write_rollouts, tmp_path: Path) -> None:
    folder = write_rollouts(tmp_path / "data")
    (folder / "dataset_metrics.npz").unlink()
    jobs = [done(card(name, 0.5, 1.0)) for name in ("demo_squat", "demo_reach")]
    output = str(folder)
    assert complete_dataset(status(tmp_path, jobs[0], FAILED, kind="rollout", output=output)) is None
    assert not (folder / "dataset_metrics.npz").exists()
    assert complete_dataset(status(tmp_path, *jobs, kind="train", output=output)) is None
    assert complete_dataset(status(tmp_path, *jobs, kind="rollout", output="s3://b/data")) is None
    assert complete_dataset(status(tmp_path, *jobs, kind="rollout", output=output)) == folder / "dataset_metrics.npz"
