"""Fleets on a real cluster of two nodes."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from fleets import PROGRAM, attempts, checkpoints, evaluated_at, processes, running, settings, until
from ray_cluster import RayCluster

pytest.importorskip("ray")

TWELVE = [f"demo_{name}-0-{end}" for name in ("reach", "squat", "walk") for end in (40, 41, 42, 43)]


def fleet(cluster: RayCluster, *arguments: str, steps: int = 64) -> list[str]:
    options = ["-o", "experts", "--config", "tiny.toml", "--total-timesteps", str(steps)]
    return ["fleet", "train", *arguments, *options, "--engine", "ray", "--address", cluster.address]


def test_a_cluster_trains_what_can_be_trained_and_names_the_rest(tmp_path: Path) -> None:
    settings(tmp_path)
    # Somebody's other run lies where one of the experts is to go.
    other = tmp_path / "experts/demo_squat-0-40/0/config.json"
    other.parent.mkdir(parents=True)
    other.write_text(json.dumps({"snippet": "demo_squat-0-40", "training": {"layers": [32]}}))
    with RayCluster() as cluster:
        command = [str(PROGRAM), *fleet(cluster, "demo_reach-0-40", "demo_squat-0-40"), "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert (document["done"], document["failed"]) == (1, 1)
    (failed,) = document["failed_jobs"]
    assert (failed["job"], failed["attempts"]) == ("demo_squat-0-40/0", 1)
    assert "holds a run with other" in failed["error"]
    assert "holds a run with other" in Path(failed["log"]).read_text()
    assert "2 nodes, 2 cores" in done.stderr
    assert json.loads(other.read_text())["training"] == {"layers": [32]}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twelve_experts_survive_the_death_of_a_node_and_of_the_driver(mocapact_home: Path, tmp_path: Path) -> None:
    settings(tmp_path)
    experts, plan, steps = tmp_path / "experts", tmp_path / "experts.fleet", 1280
    with RayCluster() as cluster:
        command = fleet(cluster, *TWELVE, steps=steps)
        with running(mocapact_home, tmp_path, *command):
            until(lambda: len(checkpoints(experts)) == 2 and len(processes(plan)) == 2)
            cluster.kill_worker()
            # The other node goes on; what the dead one did waits for a place.
            until(lambda: len(processes(plan)) == 1)
            cluster.add_worker()
            until(lambda: [attempt for attempt in attempts(plan) if attempt.state == "finished"])
            until(lambda: len(checkpoints(experts)) > 4 and len(processes(plan)) == 2)
        until(lambda: not processes(plan))
        left = [attempt for attempt in attempts(plan) if attempt.state != "finished"]
        assert len(left) < 12
        done = subprocess.run(
            [str(PROGRAM), *command, "--json"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["done"] == 12
    _nothing_is_lost_and_nothing_done_twice(plan, experts, steps)


@pytest.mark.slow
def test_nodes_that_do_not_see_the_plan_are_given_it(mocapact_home: Path, tmp_path: Path) -> None:
    settings(tmp_path)
    (tmp_path / "private").mkdir()
    address = f"file://{tmp_path}/far"
    with RayCluster() as cluster:
        train = fleet(cluster, "demo_reach-0-40", "demo_squat-0-40")
        train[train.index("experts")] = address
        mocapact = shlex.join([str(PROGRAM), *train, "--plan", str(tmp_path / "private/plan"), "--json"])
        # A file system that only the driver sees; what it printed and recorded is copied out of it.
        hidden = f"mount -t tmpfs tmpfs private && {mocapact} > said.json && cp -r private/plan seen"
        done = subprocess.run(
            ["unshare", "--mount", "bash", "-c", hidden], cwd=tmp_path, capture_output=True, text=True
        )
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this process may not mount a file system")
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "private").iterdir())
    assert json.loads((tmp_path / "said.json").read_text())["done"] == 2
    for snippet in ("demo_reach-0-40", "demo_squat-0-40"):
        assert (tmp_path / "far" / snippet / "0/eval_rsi/model/best_model.zip").is_file()
        assert "normalized length" in (tmp_path / f"seen/logs/{snippet}~0.1.log").read_text()
    assert {attempt.state for attempt in attempts(tmp_path / "seen")} == {"finished"}


def _nothing_is_lost_and_nothing_done_twice(plan: Path, experts: Path, steps: int) -> None:
    tries = attempts(plan)
    finished = Counter(attempt.job for attempt in tries if attempt.state == "finished")
    assert finished == {f"{snippet}/0": 1 for snippet in TWELVE}
    lost = [attempt for attempt in tries if attempt.state == "lost"]
    assert len(lost) >= 2
    assert {attempt.state for attempt in tries} == {"finished", "lost"}
    ends = set()
    for snippet in TWELVE:
        # Every evaluation is there once: what was saved was gone on with.
        seen = evaluated_at(experts / snippet / "0")
        assert seen == sorted(set(seen))
        assert seen[0] == 0
        ends.add(seen[-1])
    # The expert takes steps of its own after the teacher's last.
    assert len(ends) == 1
    assert steps <= ends.pop() < steps + 64
    ended = {attempt.job: attempt for attempt in tries if attempt.state == "finished"}
    resumed = [_first_evaluation(ended[attempt.job].log) for attempt in lost if _first_evaluation(attempt.log) == 0]
    assert resumed
    assert all(step is None or step > 0 for step in resumed)


def _first_evaluation(log: str) -> int | None:
    """Environment steps at the first evaluation that a log tells of."""
    found = re.search(r"^ *([\d,]+) steps", Path(log).read_text(), re.MULTILINE)
    return int(found[1].replace(",", "")) if found else None
