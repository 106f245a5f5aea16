from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.fleet.machine import machine_id, process_stamp
from mocapact_cli.core.fleet.records import LEASE, Attempt, Records, TakenError

JOB = "demo_reach-0-30/0"


def test_only_one_of_many_workers_gets_a_job(tmp_path: Path) -> None:
    def claim(_: int) -> bool:
        try:
            Records(tmp_path).claim(JOB, 0)
        except TakenError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(32))) == 1
    assert [attempt.number for attempt in Records(tmp_path).of(JOB)] == [1]


def test_a_job_that_was_tried_meanwhile_is_not_begun(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.save(replace(records.claim(JOB, 0), state="finished"))
    with pytest.raises(TakenError):
        Records(tmp_path).claim(JOB, 0)


def test_what_a_record_says_comes_back(tmp_path: Path) -> None:
    records = Records(tmp_path)
    attempt = records.claim(JOB, 0)
    records.save(replace(attempt, state="failed", ended=5.0, error={"message": "no"}, progress={"done": 3}))
    (found,) = Records(tmp_path).of(JOB)
    assert (found.state, found.ended, found.error, found.progress) == ("failed", 5.0, {"message": "no"}, {"done": 3})
    assert found.log == str(tmp_path / "logs" / "demo_reach-0-30~0.1.log")


def test_an_attempt_whose_processes_are_gone_is_lost_and_another_begins(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    records = Records(tmp_path)
    records.beat(replace(records.claim(JOB, 0), pid=gone.pid, stamp="1"))
    assert not records.is_alive(records.of(JOB)[-1])
    records.claim(JOB, 1)
    assert [attempt.state for attempt in records.of(JOB)] == ["lost", "running"]


def test_a_job_that_is_saving_itself_is_alive_without_its_watcher(tmp_path: Path) -> None:
    records, pid = Records(tmp_path), os.getpid()
    attempt = replace(records.claim(JOB, 0), pid=0, child=pid, child_stamp=process_stamp(pid) or "")
    records.beat(attempt)
    assert records.is_alive(records.of(JOB)[-1])
    records.beat(replace(attempt, child_stamp="another process had this number"))
    assert not records.is_alive(records.of(JOB)[-1])


@pytest.mark.parametrize(("age", "alive"), [(LEASE - 30.0, True), (LEASE + 30.0, False)])
def test_on_another_machine_an_attempt_lives_as_long_as_it_is_heard(tmp_path: Path, age: float, alive: bool) -> None:
    records = Records(tmp_path)
    records.beat(replace(records.claim(JOB, 0), machine="another"))
    heard = records.now() - age
    os.utime(tmp_path / "records" / "demo_reach-0-30~0.1.json", (heard, heard))
    assert records.is_alive(records.of(JOB)[-1]) == alive
    if alive:
        with pytest.raises(TakenError):
            records.claim(JOB, 1)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"state": "finished", "surprise": 1}'])
def test_a_record_that_was_only_begun_or_is_damaged_is_a_claim(tmp_path: Path, content: str) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "a~0.1.json").write_text(content)
    (attempt,) = Records(tmp_path).of("a/0")
    assert attempt == Attempt("a/0", 1, state="finished" if "finished" in content else "running")


def test_who_was_taken_for_dead_notices(tmp_path: Path) -> None:
    records = Records(tmp_path)
    first = records.claim(JOB, 0)
    assert not records.is_superseded(first)
    records.beat(replace(first, machine="another", pid=0))
    os.utime(tmp_path / "records" / "demo_reach-0-30~0.1.json", (0, 0))
    Records(tmp_path).claim(JOB, 1)
    assert records.is_superseded(first)


def test_files_that_are_no_records_are_passed_over(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.claim(JOB, 0)
    for name in (".demo~0.1.json.beat", "notes.txt", "x.json", ".clock.host.1"):
        (tmp_path / "records" / name).write_text("{}")
    assert list(records.read()) == [JOB]


@given(st.from_regex(r"[A-Za-z0-9_]{1,8}-[0-9]-[0-9](/[0-9])?", fullmatch=True), st.integers(1, 999_999))
def test_names_of_jobs_survive_the_names_of_files(tmp_path_factory: pytest.TempPathFactory, job: str, number: int):
    folder = tmp_path_factory.mktemp("records")
    (folder / "records").mkdir()
    Records(folder).save(Attempt(job, number, machine=machine_id()))
    ((found,),) = Records(folder).read().values()
    assert (found.job, found.number) == (job, number)
