from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest
from fleets import attempts, checkpoints, evaluated_at, processes, running, settings, until

REACH, SQUAT = "demo_reach-0-40", "demo_squat-0-40"
FEW = ("--n-start-rollouts", 1, "--n-rsi-rollouts", 2, "--min-steps", 10, "--num-envs", 3)


@pytest.fixture(scope="module")
def trained(mocapact_once, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """Two experts that a fleet has trained, one of the jobs having no chance, and what was printed."""
    folder = tmp_path_factory.mktemp("fleet")
    outcome = mocapact_once(
        *("fleet", "train", REACH, SQUAT, "-o", folder / "experts", "--config", settings(folder)),
        *("--total-timesteps", 64, "--json"),
    )
    assert outcome.code == 0, outcome.stderr
    return folder, outcome.json


def test_a_fleet_trains_every_expert_into_the_published_layout(trained: tuple[Path, dict]) -> None:
    folder, document = trained
    assert (document["total"], document["done"], document["failed_jobs"]) == (2, 2, [])
    for snippet in (REACH, SQUAT):
        assert (folder / "experts" / snippet / "0/eval_rsi/model/best_model.zip").is_file()
        assert json.loads((folder / "experts" / snippet / "0/config.json").read_text())["training"]["threads"] == 1
    assert {Path(row["root"]).parent.name for row in document["report"]["experts"]} == {REACH, SQUAT}
    assert Path(document["picture"]).stat().st_size > 5_000
    assert all(Path(attempt.log).read_text() for attempt in attempts(folder / "experts.fleet"))


def test_a_finished_fleet_is_not_done_again(mocapact, trained: tuple[Path, dict]) -> None:
    folder, document = trained
    again = mocapact("fleet", "run", folder / "experts.fleet", "--json")
    assert again.code == 0, again.stderr
    assert again.json["report"] == document["report"]
    assert len(attempts(folder / "experts.fleet")) == 2


def test_a_fleet_is_watched_from_elsewhere(mocapact, trained: tuple[Path, dict]) -> None:
    folder, _ = trained
    document = mocapact("fleet", "status", folder / "experts.fleet", "--json").json
    assert (document["done"], document["total"], document["eta_s"]) == (2, 2, 0.0)
    assert {row["job"] for row in document["best"]} == {f"{REACH}/0", f"{SQUAT}/0"}
    shown = mocapact("fleet", "status", folder / "experts.fleet")
    assert "2 done, 0 running, 0 failed, 0 waiting" in shown.stdout
    assert mocapact("fleet", "status", folder / "experts.fleet", "--quiet").stdout == "2/2\n"


def test_what_was_trained_is_rolled_out_as_without_a_fleet(mocapact, trained: tuple[Path, dict], tmp_path) -> None:
    folder, _ = trained
    outcome = mocapact("fleet", "rollout", folder / "experts" / REACH, "-o", "fleet", *FEW, "--json")
    assert outcome.code == 0, outcome.stderr
    assert mocapact("rollout", folder / "experts" / REACH, "-o", "plain", *FEW).code == 0
    with h5py.File(tmp_path / "fleet/demo_reach.hdf5") as ours, h5py.File(tmp_path / "plain/demo_reach.hdf5") as plain:
        for name in ("actions", "observations/proprioceptive", "values"):
            for episode in range(3):
                path = f"{REACH}/{episode}/{name}"
                np.testing.assert_array_equal(ours[path][()], plain[path][()])
        assert ours.attrs["config"] == plain.attrs["config"]
    assert (tmp_path / "fleet/dataset_metrics.npz").is_file()
    found = mocapact("inspect", "fleet", "--check", "--json")
    assert (found.code, found.json["episodes"]) == (0, 3)


def test_experts_at_an_address_are_evaluated_to_an_address(mocapact, trained: tuple[Path, dict], tmp_path) -> None:
    folder, _ = trained
    places = (f"file://{folder}/experts/{REACH}/0", "-o", f"file://{tmp_path}/scores")
    options = ("--n-eval-episodes", 4, "--num-envs", 2, "--json")
    outcome = mocapact("fleet", "eval", *places, *options)
    assert outcome.code == 0, outcome.stderr
    there = json.loads((tmp_path / f"scores/{REACH}/0/evaluation.json").read_text())
    alone = mocapact("expert", "eval", folder / "experts" / REACH, *options, "--n-workers", 1).json
    assert there == alone
    assert outcome.json["report"]["norm_return"]["mean"] == pytest.approx(alone["norm_return"]["mean"])


def test_kills_cost_nothing_that_was_saved(mocapact, mocapact_home: Path, tmp_path: Path) -> None:
    """First the process of the job is killed, then the driver; a third one brings it to its end."""
    experts, plan = tmp_path / "experts", tmp_path / "experts.fleet"
    settings(tmp_path)
    command = ["fleet", "train", REACH, "-o", "experts", "--config", "tiny.toml", "--total-timesteps", "100000"]
    with running(mocapact_home, tmp_path, *command) as driver:
        until(lambda: checkpoints(experts))
        second = mocapact("fleet", "run", plan)
        assert second.code == 2
        assert f"process {driver.pid}" in second.stderr
        os.kill(attempts(plan)[0].child, signal.SIGKILL)
        until(lambda: len(attempts(plan)) == 2 and attempts(plan)[1].child)
        driver.kill()
        driver.wait()
    until(lambda: not processes(plan))
    lower_limit(plan, 256)
    last = mocapact("fleet", "run", plan, "--json")
    assert last.code == 0, last.stderr
    assert [attempt.state for attempt in attempts(plan)] == ["failed", "lost", "finished"]
    assert "SIGKILL" in attempts(plan)[0].error["message"]
    seen = evaluated_at(experts / REACH / "0")
    assert seen == sorted(set(seen))


def test_an_address_of_no_kind_leaves_no_plan_behind(mocapact, tmp_path: Path) -> None:
    done = mocapact("fleet", "train", REACH, "-o", "foo://bar/experts", "--plan", "plan")
    assert done.code == 2
    assert "foo://bar/experts is no address" in done.stderr
    assert not (tmp_path / "plan").exists()


def lower_limit(plan: Path, timesteps: int) -> None:
    """Let a run that was to be long end soon."""
    record = json.loads((plan / "plan.json").read_text())
    record["settings"]["total_timesteps"] = timesteps
    (plan / "plan.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("train", "demo_sqat", "-o", "x"), 3, "demo_sqat"),
        (("train", "all", "-o", "x"), 3, "clips fetch"),
        (("train", REACH, "-o", "x", "--jobs", 9999), 2, "too many for this machine"),
        (("train", REACH, "-o", "x", "--seeds", "a"), 2, "--seeds"),
        (("train", REACH, "-o", "x", "--address", "head:1"), 2, "--engine ray"),
        (("train", REACH, "-o", "nonsense://x"), 2, "nonsense"),
        (("train", REACH, "-o", "x", "--engine", "ray", "--address", "127.0.0.1:1"), 1, "Nothing answers"),
        (("rollout", "missing", "-o", "x"), 3, "missing"),
        (("run", "missing"), 3, "missing"),
        (("status", "missing"), 3, "missing"),
        (("work", "missing", "--shard", "5/4"), 2, "1/4"),
    ],
)
def test_bad_requests_end_in_one_line_and_their_code(mocapact, arguments, code: int, says: str) -> None:
    outcome = mocapact("fleet", *arguments)
    assert outcome.code == code, outcome.stderr
    assert says in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_seeds_are_those_of_the_line_or_of_the_settings(mocapact, tmp_path: Path) -> None:
    (tmp_path / "seven.toml").write_text("seed = 7\n")
    for options, seeds in ((("--seeds", "1,2,1"), {1, 2}), ((), {7})):
        plan = f"plan{len(options)}"
        call = ("fleet", "train", REACH, "-o", "x", "--plan-only", "--config", "seven.toml", "--plan", plan)
        assert mocapact(*call, *options).code == 0
        jobs = json.loads((tmp_path / plan / "plan.json").read_text())["jobs"]
        assert {(job["id"], job["seed"]) for job in jobs} == {(f"{REACH}/{seed}", seed) for seed in seeds}


def test_a_plan_of_another_version_is_refused(mocapact, tmp_path: Path) -> None:
    assert mocapact("fleet", "train", REACH, "-o", "x", "--plan-only").code == 0
    record = json.loads((tmp_path / "x.fleet/plan.json").read_text())
    (tmp_path / "x.fleet/plan.json").write_text(json.dumps(record | {"mocapact": "0.0.1"}))
    outcome = mocapact("fleet", "run", "x.fleet")
    assert outcome.code == 4
    assert "made by mocapact 0.0.1" in outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) <= 2
