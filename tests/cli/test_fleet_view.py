from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from mocapact_cli.cli.fleet_view import ROWS, status_tables, watching
from mocapact_cli.core.fleet.records import Attempt
from mocapact_cli.core.fleet.status import FleetStatus, JobStatus


def shown(views: list) -> str:
    console = Console(file=io.StringIO(), width=200)
    for view in views:
        console.print(view)
    return console.file.getvalue()  # type: ignore[attr-defined]


def running(name: str) -> JobStatus:
    progress = {"done": 30.0, "total": 120.0, "unit": "steps", "length": "0.62"}
    return JobStatus(name, "running", 2, Attempt(name, 2, host="node7", started=1000.0, progress=progress))


FAILED = JobStatus("bad", "failed", 3, Attempt("bad", 3, "failed", error={"message": "It broke."}, log="/l/bad.3.log"))


def fleet(*jobs: JobStatus) -> FleetStatus:
    return FleetStatus(Path("/plan"), "train", "/out", jobs, {"started": 940.0}, now=1060.0)


def test_the_table_says_what_runs_where_and_what_failed_why() -> None:
    done = JobStatus(
        "good", "done", 1, Attempt("good", 1, "finished", ended=1050.0, result={"cards": [{"norm_return": 0.8125}]})
    )
    text = shown(status_tables(fleet(done, running("now"), FAILED, JobStatus("later", "waiting"))))
    assert "1 done, 1 running, 1 failed, 1 waiting" in text
    assert "38 jobs an hour" in text
    assert "good (0.812)" in text
    for part in ("now", "25%", "1.0", "node7", "length 0.62", "It broke.", "/l/bad.3.log"):
        assert part in text


def test_of_many_running_jobs_the_first_are_shown() -> None:
    text = shown(status_tables(fleet(*(running(f"job{number:03}") for number in range(100)))))
    assert f"the first {ROWS} of 100" in text
    assert "job019" in text
    assert "job020" not in text


def test_without_a_terminal_a_failure_is_said_once(fresh_out, capsys) -> None:
    with watching(2) as watch:
        watch(fleet(FAILED, running("now")))
        watch(fleet(FAILED, running("now")))
    said = capsys.readouterr().err
    assert said.count("bad has failed: It broke. Log: /l/bad.3.log") == 1
