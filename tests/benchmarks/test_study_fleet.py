from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mocapact_cli.core.fleet.plan import Job, Plan, write_plan
from mocapact_cli.core.fleet.records import Attempt, Records


@pytest.fixture(scope="module")
def study():
    path = Path(__file__).with_name("study_fleet.py")
    spec = importlib.util.spec_from_file_location("study_fleet", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["study_fleet"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Two experts that took ten minutes each on two cores, one of them in two attempts."""
    jobs = tuple(Job(f"CMU_016_22-0-{end}/0", 0, (f"CMU_016_22-0-{end}",)) for end in (82, 83, 84))
    folder = tmp_path / "plan"
    write_plan(folder, Plan("train", str(tmp_path / "experts"), {}, jobs, threads_per_job=2))
    (folder / "records").mkdir()
    for job, number, state, seconds in [(0, 1, "finished", 600), (1, 1, "lost", 400), (1, 2, "finished", 200)]:
        attempt = Attempt(jobs[job].id, number, started=1000.0, ended=1000.0 + seconds, result={"timesteps": 50})
        Records(folder).save(replace(attempt, state=state))
        model = tmp_path / "experts" / jobs[job].id / "model.zip"
        model.parent.mkdir(parents=True, exist_ok=True)
        model.write_bytes(b"x" * 1000)
    return folder


def test_the_full_set_is_computed_from_what_was_measured(study, plan: Path) -> None:
    measured = study.measure(plan)
    assert (measured.jobs, measured.size, measured.steps) == (2, 2000, 100)
    assert measured.core_hours == pytest.approx(2589 * 2 * 600 / 3600)
    assert measured.size / measured.part == pytest.approx(2_589_000)
    assert measured.wall_hours(10, 32, 0) == pytest.approx(2589 * 600 / 3600 / 160)
    longer = measured.at(5000)
    assert (longer.steps, longer.hours) == (10_000, pytest.approx(100 * measured.hours))
    # No number of machines makes a single job shorter, and none can be done where there is no room for it.
    assert measured.wall_hours(10_000, 32, 0) == pytest.approx(1 / 6)
    assert measured.wall_hours(1, 1, 0) == float("inf")


def test_the_table_has_a_column_for_every_number_of_machines(study, plan: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["study_fleet.py", str(plan), "--machines", "1", "10", "--price", "2"])
    study.main()
    heading, line, row = capsys.readouterr().out.strip().splitlines()
    assert heading.count("|") == line.count("|") == row.count("|") == 11
    assert "| train | 2 jobs | 10.00 | 0 | 863 |" in row
