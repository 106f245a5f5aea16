"""What a fleet costs: as many jobs a second as the same jobs done one by one on every core, in one run, alternating."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from threading import Thread

import pytest
from fleets import PROGRAM

from mocapact_cli.core.fleet.machine import cores_here

JOBS_PER_CORE, STEPS, ROUNDS, BAR = 3, 20_480, 3, 0.9
SETTINGS = 'eval_every = 10240\nlayers = [64, 64]\nn_rsi_episodes = 32\nn_start_episodes = 8\nwarm_start = "none"\n'


def snippets(cores: list[int]) -> list[str]:
    return [f"demo_squat-0-{40 + number}" for number in range(JOBS_PER_CORE * len(cores))]


def options(folder: Path) -> list[str]:
    (folder / "config.toml").write_text(SETTINGS)
    return ["--config", str(folder / "config.toml"), "--total-timesteps", str(STEPS)]


def one_by_one(folder: Path, cores: list[int]) -> float:
    """Seconds that the jobs take in one shell a core, each bound to it."""
    names, environment = snippets(cores), {**os.environ, "OMP_NUM_THREADS": "1"}

    def shell(index: int) -> None:
        for name in names[index :: len(cores)]:
            command = [str(PROGRAM), "expert", "train", name, *options(folder), "--log-root", str(folder / "single")]
            subprocess.run(
                ["taskset", "-c", str(cores[index]), *command, "--threads", "1", "--quiet"],
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )

    began = time.monotonic()
    threads = [Thread(target=shell, args=(index,)) for index in range(len(cores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began


def as_fleet(folder: Path, cores: list[int], *engine: str) -> float:
    """Seconds that a fleet takes for them, all of the driver included."""
    command = [str(PROGRAM), "fleet", "train", *snippets(cores), *options(folder), "-o", str(folder / "fleet")]
    began = time.monotonic()
    subprocess.run([*command, *engine, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def measure(tmp_path: Path, *engine: str) -> dict[str, float]:
    cores, ratios = cores_here(), []
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        sides = [lambda at=folder: one_by_one(at, cores), lambda at=folder: as_fleet(at, cores, *engine)]
        # Who begins takes turns, so that neither always meets the busier minutes.
        order = (0, 1) if number % 2 == 0 else (1, 0)
        seconds = {side: sides[side]() for side in order}
        ratios.append(seconds[0] / seconds[1])
    return {"of_single_jobs": median(ratios), "jobs": len(snippets(cores)), "cores": len(cores), "steps": STEPS}


@pytest.mark.benchmark
@pytest.mark.timeout(3600)
def test_a_fleet_is_as_fast_as_the_sum_of_its_jobs(tmp_path: Path) -> None:
    measured = measure(tmp_path)
    sys.stdout.write(f"{measured}\n")
    assert measured["of_single_jobs"] >= BAR, measured


@pytest.mark.benchmark
@pytest.mark.timeout(3600)
def test_so_is_a_fleet_on_a_cluster(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from ray_cluster import RayCluster

    with RayCluster() as cluster:
        measured = measure(tmp_path, "--engine", "ray", "--address", cluster.address)
    sys.stdout.write(f"{measured}\n")
    assert measured["of_single_jobs"] >= BAR, measured
