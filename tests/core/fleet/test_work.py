from __future__ import annotations

from pathlib import Path

import pytest

from mocapact_cli.core.config import from_dict
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.fleet.plan import read_plan
from mocapact_cli.core.fleet.work import do_job, mocap_here
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.training.expert.config import ExpertConfig

JOB = "demo_reach-0-30/0"


def do(folder: Path) -> dict:
    plan = read_plan(folder)
    return do_job(plan, plan.job(JOB), NullProgress())


def test_a_mocap_file_is_found_where_this_machine_has_it(make_plan, mocapact_home: Path, tmp_path: Path) -> None:
    (tmp_path / "near.h5").touch()
    own = mocapact_home / "data/mocap/far.h5"
    own.parent.mkdir(parents=True)
    own.touch()
    files = (str(tmp_path / "near.h5"), "/elsewhere/far.h5", "/elsewhere/missing.h5")
    # The second is among the clips at hand anyway; the third is missed by its own name.
    assert mocap_here(read_plan(make_plan("demo_reach-0-30", mocap=files))) == [Path(files[0]), Path(files[2])]


def test_a_run_that_was_finished_but_not_recorded_is_taken_as_it_is(make_plan, tmp_path: Path) -> None:
    folder = make_plan("demo_reach-0-30")
    first = do(folder)
    model = tmp_path / "experts" / JOB / "eval_rsi/model/best_model.zip"
    before = model.read_bytes()
    second = do(folder)
    assert (second["timesteps"], second["cards"]) == (first["timesteps"], first["cards"])
    assert model.read_bytes() == before


def test_a_run_with_other_settings_is_not_gone_on_with(make_plan, tmp_path: Path) -> None:
    folder = make_plan("demo_reach-0-30")
    do(folder)
    (folder / "plan.json").unlink()
    config = from_dict(ExpertConfig, read_settings(tmp_path) | {"gamma": 0.5, "layers": [8]})
    make_plan("demo_reach-0-30", config=config)
    with pytest.raises(UsageError, match="other gamma, layers"):
        do(folder)


def read_settings(tmp_path: Path) -> dict:
    import json

    found: dict = json.loads((tmp_path / "experts" / JOB / "config.json").read_text())["training"]
    return found
