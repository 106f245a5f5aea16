"""How fleets end that are interrupted, run out of disk, or are shared by several workers; minutes of real jobs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from fleets import PROGRAM, attempts, checkpoints, evaluated_at, processes, running, settings, until

pytestmark = pytest.mark.slow

FOUR = [f"demo_{name}-0-{end}" for name in ("reach", "squat") for end in (40, 41)]


def command(*snippets: str, steps: int, output: str = "experts") -> list[str]:
    return ["fleet", "train", *snippets, "-o", output, "--config", "tiny.toml", "--total-timesteps", str(steps)]


def call(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False, timeout=280
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_fleet_saves_itself_and_says_how_to_go_on(
    mocapact_home: Path, tmp_path: Path, number: signal.Signals
) -> None:
    settings(tmp_path)
    plan, experts = tmp_path / "experts.fleet", tmp_path / "experts"
    with running(mocapact_home, tmp_path, *command(FOUR[0], steps=4096)) as driver:
        until(lambda: checkpoints(experts))
        driver.send_signal(number)
        assert driver.wait(100) == 130
    said = (tmp_path / "running.log").read_text()
    assert "Stopped with 0 of 1 job done" in said
    assert f"mocapact fleet run {plan}" in said
    assert "Traceback" not in said
    assert not processes(plan)
    assert [attempt.state for attempt in attempts(plan)] == ["stopped"]
    record = json.loads((plan / "plan.json").read_text())
    record["settings"]["total_timesteps"] = 512
    (plan / "plan.json").write_text(json.dumps(record))
    assert call("fleet", "run", plan, folder=tmp_path).returncode == 0
    seen = evaluated_at(experts / FOUR[0] / "0")
    assert seen == sorted(set(seen))


def test_a_full_disk_stops_the_fleet_and_costs_nothing(mocapact_home: Path, tmp_path: Path, small_disk) -> None:
    settings(tmp_path)
    disk = small_disk(300)
    arguments = [*command(*FOUR, steps=64, output=str(disk / "experts")), "--plan", "plan", "--jobs", "1"]
    full = call(*arguments, folder=tmp_path)
    assert full.returncode == 1, full.stderr
    assert "The disk is full" in full.stderr
    assert "fleet run" in full.stderr
    assert "Traceback" not in full.stderr
    assert len(attempts(tmp_path / "plan")) < 8
    subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
    after = call("fleet", "run", "plan", "--json", folder=tmp_path)
    assert after.returncode == 0, after.stderr
    assert json.loads(after.stdout)["done"] == 4


def test_workers_share_a_plan_without_doing_anything_twice(mocapact_home: Path, tmp_path: Path) -> None:
    settings(tmp_path)
    plan = tmp_path / "experts.fleet"
    assert call(*command(*FOUR, steps=128), "--plan-only", folder=tmp_path).returncode == 0
    with running(mocapact_home, tmp_path, "fleet", "work", str(plan), "--shard", "1/2", "--jobs", "1") as first:
        second = call("fleet", "work", plan, "--shard", "2/2", "--jobs", "1", folder=tmp_path)
        assert first.wait(200) == 0
    assert second.returncode == 0, second.stderr
    tries = attempts(plan)
    assert Counter(attempt.job for attempt in tries) == {f"{snippet}/0": 1 for snippet in FOUR}
    assert len({attempt.pid for attempt in tries}) == 2


def test_the_array_script_of_the_page_works_and_saves_itself(mocapact_home: Path, tmp_path: Path) -> None:
    settings(tmp_path)
    plan = tmp_path / "experts.fleet"
    page = (Path(__file__).resolve().parents[2] / "docs/fleet.md").read_text()
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n.*?)```", page, re.DOTALL)
    assert call(*command(FOUR[0], steps=4096), "--plan-only", folder=tmp_path).returncode == 0
    slurm = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "1", "PLAN": str(plan)}
    path = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "MOCAPACT_HOME": str(mocapact_home)}
    shell = subprocess.Popen(["bash", "-c", script], cwd=tmp_path, env={**os.environ, **slurm, **path})
    try:
        until(lambda: checkpoints(tmp_path / "experts"))
        shell.send_signal(signal.SIGTERM)
        assert shell.wait(100) == 130
    finally:
        shell.kill()
    assert [attempt.state for attempt in attempts(plan)] == ["stopped"]


def test_a_fleet_of_experts_becomes_a_policy(mocapact_home: Path, tmp_path: Path) -> None:
    settings(tmp_path)
    assert call(*command(FOUR[0], FOUR[2], steps=64), folder=tmp_path).returncode == 0
    few = ["--n-start-rollouts", "2", "--n-rsi-rollouts", "2", "--min-steps", "10"]
    assert call("fleet", "rollout", "experts", "-o", "dataset", *few, folder=tmp_path).returncode == 0
    learning = ["--model", "mlp-reference", "--max-steps", "2", "--n-eval-episodes", "0", "--output-root", "policy"]
    done = call("distill", "train", "--dataset", "dataset", *learning, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "policy").rglob("*.ckpt"))
