from __future__ import annotations

import json
from pathlib import Path

import pytest

from mocapact_cli.core.fleet.machine import machine_id, process_stamp
from mocapact_cli.core.fleet.plan import read_plan
from mocapact_cli.core.fleet.records import Attempt, Records
from mocapact_cli.core.fleet.status import LOST_LIMIT, Board, FleetStatus, JobStatus, read_status, startable

FAILED = Attempt("", 0, "failed", error={"message": "no", "retry": True})
IN_VAIN = Attempt("", 0, "failed", error={"message": "no such clip", "retry": False})
STOPPED, LOST = Attempt("", 0, "stopped"), Attempt("", 0, "lost")
JOB = "demo_reach-0-30/0"


def finished(score: float) -> Attempt:
    return Attempt("", 0, "finished", ended=200.0, result={"cards": [{"norm_return": score}]})


def result(folder: Path, job: str) -> None:
    model = Path(read_plan(folder).output) / job / "eval_rsi/model/best_model.zip"
    model.parent.mkdir(parents=True)
    model.touch()


@pytest.mark.parametrize(
    ("attempts", "state"),
    [
        ((), "waiting"),
        ((FAILED,), "waiting"),
        ((FAILED, FAILED), "failed"),
        ((FAILED, STOPPED, LOST, STOPPED), "waiting"),
        ((IN_VAIN,), "failed"),
        ((LOST,) * LOST_LIMIT, "failed"),
    ],
)
def test_failures_count_and_interruptions_do_not(make_plan, leave, attempts, state: str) -> None:
    folder = make_plan("demo_reach-0-30", max_retries=1)
    leave(folder, JOB, *attempts)
    assert read_status(folder).jobs[0].state == state


def test_a_running_job_is_running_as_long_as_its_process_lives(make_plan, leave) -> None:
    import os

    folder, pid = make_plan("demo_reach-0-30"), os.getpid()
    alive = Attempt("", 0, machine=machine_id(), pid=pid, stamp=process_stamp(pid) or "")
    leave(folder, JOB, alive)
    assert read_status(folder).jobs[0].state == "running"
    leave(folder, JOB, Attempt("", 0, machine=machine_id(), pid=pid, stamp="of another"))
    assert read_status(folder).jobs[0].state == "waiting"


def test_a_job_is_done_by_its_record_and_its_result(make_plan, leave) -> None:
    folder = make_plan("demo_reach-0-30", "demo_squat-0-30")
    for snippet in ("demo_reach-0-30", "demo_squat-0-30"):
        leave(folder, f"{snippet}/0", finished(0.5))
    result(folder, JOB)
    status = read_status(folder)
    assert [job.state for job in status.jobs] == ["done", "waiting"]
    # The result alone is not enough: it may be of a run that is not at its end.
    (folder / "records" / "demo_reach-0-30~0.1.json").unlink()
    assert read_status(folder).jobs[0].state == "waiting"


def test_failures_of_earlier_drivers_can_be_forgiven(make_plan, leave) -> None:
    folder = make_plan("demo_reach-0-30", max_retries=0)
    leave(folder, JOB, FAILED)
    board = Board(folder, read_plan(folder), Records(folder))
    assert board.status().jobs[0].state == "failed"
    board.forgiven = {JOB: 1}
    assert board.status().jobs[0].state == "waiting"
    leave(folder, JOB, FAILED, IN_VAIN)
    assert board.status().jobs[0].state == "failed"


def test_rate_and_rest_are_of_this_session(tmp_path: Path) -> None:
    done = JobStatus("a", "done", 1, finished(0.5))
    before = JobStatus("b", "done", 1, Attempt("b", 1, "finished", ended=50.0))
    running = JobStatus("c", "running", 1, Attempt("c", 1, progress={"done": 5.0, "total": 10.0}))
    jobs = (done, before, running, JobStatus("d", "waiting"))
    status = FleetStatus(tmp_path, "train", "/out", jobs, {"started": 100.0}, now=250.0)
    assert status.rate == pytest.approx(1.5 / 150.0)
    assert status.remaining == pytest.approx(1.5 / status.rate)
    assert status.counts() == {"done": 2, "running": 1, "failed": 0, "waiting": 1}
    over = FleetStatus(tmp_path, "train", "/out", (done,), {"started": 100.0, "ended": 250.0}, now=9e9)
    assert (over.elapsed, over.remaining) == (150.0, 0.0)


def test_best_and_worst_are_named(make_plan, leave) -> None:
    snippets = [f"demo_reach-0-{end}" for end in (30, 31, 32)]
    folder = make_plan(*snippets)
    for snippet, score in zip(snippets, (0.2, 0.9, 0.5), strict=True):
        leave(folder, f"{snippet}/0", finished(score))
        result(folder, f"{snippet}/0")
    document = json.loads(json.dumps(read_status(folder).to_json(), default=str))
    assert [row["norm_return"] for row in document["best"]] == [0.9, 0.5, 0.2]
    assert document["worst"][0] == {"job": f"{snippets[0]}/0", "norm_return": 0.2}


def test_a_worker_begins_with_its_part_of_what_waits(tmp_path: Path) -> None:
    jobs = tuple(JobStatus(name, "waiting") for name in "abcd")
    status = FleetStatus(tmp_path, "train", "/out", jobs)
    assert [job.job for job in startable(status, {"b"}, {"d"})] == ["d", "a", "c"]


def test_workers_without_a_driver_have_a_rate_too(tmp_path: Path) -> None:
    first = JobStatus("a", "done", 1, Attempt("a", 1, "finished", started=100.0, ended=150.0))
    status = FleetStatus(tmp_path, "train", "/out", (first, JobStatus("b", "waiting")), now=200.0)
    assert status.rate == pytest.approx(1 / 100.0)
    assert FleetStatus(tmp_path, "train", "/out", (JobStatus("b", "waiting"),), now=200.0).rate is None
