from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mocapact_cli.core.errors import NotFoundError
from mocapact_cli.core.fleet import carried
from mocapact_cli.core.fleet.carried import Carried, bring_home, do_anywhere
from mocapact_cli.core.fleet.plan import read_plan
from mocapact_cli.core.fleet.records import Attempt, Records

JOB = "demo_reach-0-30/0"


@pytest.fixture
def supervised(monkeypatch: pytest.MonkeyPatch):
    """Calls of `supervise`, which ends at once."""
    calls: list[tuple[Path, str, int]] = []

    def supervise(folder: Path, job_id: str, seen: int, *, stop: object) -> Attempt:
        calls.append((folder, job_id, seen))
        attempt = Records(folder).claim(job_id, seen)
        Path(attempt.log).parent.mkdir(parents=True, exist_ok=True)
        Path(attempt.log).write_text("said there")
        return replace(attempt, state="finished")

    monkeypatch.setattr(carried, "supervise", supervise)
    return calls


def test_who_sees_the_plan_works_in_its_folder(make_plan, supervised) -> None:
    folder = make_plan("demo_reach-0-30")
    done = do_anywhere(str(folder), read_plan(folder), JOB, 3)
    assert supervised == [(folder, JOB, 3)]
    assert done.log is None
    assert bring_home(folder, done) is done.attempt


def test_who_does_not_see_it_brings_record_and_log_home(make_plan, supervised, tmp_path: Path) -> None:
    plan = read_plan(make_plan("demo_reach-0-30", output="s3://bucket/experts"))
    done = do_anywhere("/elsewhere/plan", plan, JOB, 0)
    ((place, _, _),) = supervised
    assert read_plan(place) == plan
    home = tmp_path / "home"
    attempt = bring_home(home, done)
    assert Path(attempt.log).read_text() == "said there"
    assert Path(attempt.log).is_relative_to(home)
    assert Records(home).of(JOB) == [attempt]


def test_an_attempt_that_was_lost_there_is_counted(make_plan, supervised) -> None:
    plan = read_plan(make_plan("demo_reach-0-30", output="s3://bucket/experts"))
    first = do_anywhere("/elsewhere/plan", plan, JOB, 0).attempt
    ((place, _, _),) = supervised
    Records(place).save(replace(first, state="running", pid=0, child=0))
    assert do_anywhere("/elsewhere/plan", plan, JOB, 0).attempt.number == 2


def test_a_folder_that_is_not_to_be_seen_needs_an_address(make_plan) -> None:
    plan = read_plan(make_plan("demo_reach-0-30"))
    with pytest.raises(NotFoundError, match="not to be seen") as caught:
        do_anywhere("/elsewhere/plan", plan, JOB, 0)
    assert "--plan" in caught.value.hint


def test_another_plan_under_the_same_name_is_not_taken_for_it(make_plan) -> None:
    folder = make_plan("demo_reach-0-30")
    other = replace(read_plan(folder), output="/another")
    with pytest.raises(NotFoundError):
        do_anywhere(str(folder), other, JOB, 0)


def test_gaps_between_numbers_are_no_matter(make_plan, leave) -> None:
    folder = make_plan("demo_reach-0-30")
    home = bring_home(folder, Carried(Attempt(JOB, 2, "failed"), b""))
    records = Records(folder)
    assert records.claim(JOB, home.number).number == 3
