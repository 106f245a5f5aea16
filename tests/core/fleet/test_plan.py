from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.fleet.plan import Job, Plan, default_folder, read_plan, write_plan

PLAN = Plan("train", "/shared/experts", {"layers": [16]}, (Job("a-0-30/0", 0, ("a-0-30",)), Job("a-0-30/1", 1)))


def test_a_plan_comes_back_as_it_was_written(tmp_path: Path) -> None:
    plan = replace(PLAN, mocap=("/shared/m.h5",), chosen=("layers",), gpus_per_job=0.25)
    write_plan(tmp_path, plan)
    assert read_plan(tmp_path) == plan
    assert read_plan(tmp_path / "plan.json") == plan
    assert plan.job("a-0-30/1").seed == 1


@given(st.text(min_size=1, max_size=12))
def test_no_job_leaves_the_output(name: str) -> None:
    try:
        job = Job(f"{name}/0")
    except UsageError:
        return
    place = Path("/out", job.id)
    assert place.is_relative_to("/out")
    assert ".." not in place.parts
    assert len(place.parts) >= 4


def test_the_same_plan_may_be_written_again_with_other_retries(tmp_path: Path) -> None:
    write_plan(tmp_path, PLAN)
    write_plan(tmp_path, replace(PLAN, max_retries=7))
    assert read_plan(tmp_path).max_retries == 7


def test_another_plan_is_not_written_over_one(tmp_path: Path) -> None:
    write_plan(tmp_path, PLAN)
    with pytest.raises(UsageError, match="other settings and jobs"):
        write_plan(tmp_path, replace(PLAN, settings={"layers": [32]}, jobs=PLAN.jobs[:1]))
    assert read_plan(tmp_path) == PLAN


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, "layout 2"),
        ({"mocapact": "99.0"}, "made by mocapact 99.0"),
        ({"version": "x"}, "no version"),
        ({"jobs": [{"id": "../x"}]}, "no plan"),
        ({"jobs": 3}, "no plan"),
        ({"kind": "dance"}, "no plan"),
        ({"surprise": 1}, "no plan"),
        ({"jobs": []}, "nothing to do"),
    ],
)
def test_what_is_no_plan_of_this_version_is_refused(tmp_path: Path, changes: dict, says: str) -> None:
    write_plan(tmp_path, PLAN)
    record = json.loads((tmp_path / "plan.json").read_text()) | changes
    (tmp_path / "plan.json").write_text(json.dumps(record))
    with pytest.raises(InvalidInputError, match=says) as caught:
        read_plan(tmp_path)
    assert caught.value.hint


def test_a_missing_or_damaged_plan_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_plan(tmp_path)
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(InvalidInputError):
        read_plan(tmp_path)


def test_one_job_is_not_planned_twice() -> None:
    with pytest.raises(UsageError, match="one name"):
        replace(PLAN, jobs=(PLAN.jobs[0], PLAN.jobs[0]))


def test_the_plan_lies_beside_its_output_or_at_home(mocapact_home: Path) -> None:
    assert default_folder("/shared/experts") == Path("/shared/experts.fleet")
    assert default_folder("s3://bucket/my experts?x=1") == mocapact_home / "runs/fleet/bucket-my-experts"
