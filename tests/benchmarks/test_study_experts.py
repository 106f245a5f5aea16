"""The study of expert training runs, uses a finished run again and says what came of it."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from mocapact_cli.core.training.expert.config import preset, resolve

SCRIPT = Path(__file__).with_name("study_experts.py")


@pytest.mark.slow
def test_the_study_trains_judges_and_reuses_what_is_finished(tmp_path, mocapact_home):
    options = [
        "--clip",
        "demo_squat",
        "--minutes",
        "1",
        "--steps",
        "4096",
        "--out",
        tmp_path / "study",
        "no-teacher",
    ]
    command = [str(part) for part in (sys.executable, SCRIPT, *options)]
    first = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "| no-teacher | 4,096 |" in (tmp_path / "study" / "study.md").read_text()
    assert (tmp_path / "study" / "study.png").stat().st_size < 300_000
    weights = next(mocapact_home.rglob("best_model.zip"))
    trained = weights.stat().st_mtime_ns
    second = subprocess.run(command, check=True, capture_output=True, text=True)
    assert (second.stdout, weights.stat().st_mtime_ns) == (first.stdout, trained)


def test_an_unknown_variant_is_named_with_those_that_exist():
    done = subprocess.run([sys.executable, SCRIPT, "fsat"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no variant is called fsat" in done.stderr
    assert "no-warm-start" in done.stderr


def test_runs_of_one_variant_are_one_row_with_the_mean_and_each_seed():
    run = {"timesteps": 10, "seconds": 2.0, "norm_return": 0.4, "curve": [[0, 1.0, 0.5, 0.2], [10, 3.0, 0.985, 0.4]]}
    results = [{"variant": "fast", "norm_length": length, **run} for length in (0.9, 0.8)]
    results.append({"variant": "paper", "norm_length": 0.1, **run, "curve": []})
    rows = runpy.run_path(str(SCRIPT))["table"](results).splitlines()[2:]
    assert rows == [
        "| fast | 10 | 2 | 0.850 (0.900, 0.800) | 0.400 (0.400, 0.400) | 3, 3 |",
        "| paper | 10 | 2 | 0.100 | 0.400 | - |",
    ]


def test_each_variant_is_a_setting_that_differs_from_the_preset(tmp_path):
    for name, changes in runpy.run_path(str(SCRIPT))["VARIANTS"].items():
        file = tmp_path / f"{name}.toml"
        file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in changes.items()))
        assert (resolve(None, file) == preset("fast")) is (name == "fast"), name
