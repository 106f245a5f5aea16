"""`mocapact expert tune`, on a search of tiny trials."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fleets import PROGRAM, settings

from mocapact_cli.cli.expert_tune import _tables
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.training.expert.tune import Trial, TuneResult

SEARCH = ("expert", "tune", "demo_reach-0-20", "--config", "tiny.toml", "--space", "space.toml")
BRIEF = ("--total-timesteps", 64, "--threads", 1, "-o", "search", "--no-prune")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    settings(tmp_path)
    (tmp_path / "space.toml").write_text("layers = [[8], [16]]\ndesired_kl = { low = 0.1, high = 0.4, log = true }\n")
    return tmp_path


def test_the_table_ends_with_the_command_that_uses_it_and_that_works(mocapact) -> None:
    shown = mocapact(*SEARCH, *BRIEF, "--trials", 2)
    assert shown.code == 0, shown.stderr
    assert "2 trials, the best first" in shown.stdout
    way_on = next(line for line in shown.stdout.splitlines() if line.startswith("Next: mocapact "))
    trained = mocapact(*way_on.split()[2:], "--log-root", "experts")
    assert trained.code == 0, trained.stderr
    document = mocapact(*SEARCH, *BRIEF, "--trials", 2, "--resume", "--json").json
    assert set(document) == {"root", "snippet", "objective", "trials", "config"}
    assert document["trials"][0].keys() == {"number", "outcome", "score", "settings", "root"}
    run = json.loads(Path("experts/demo_reach-0-20/0/config.json").read_text())["training"]
    assert run["layers"] == document["trials"][0]["settings"]["layers"]


def test_a_killed_search_goes_on_with_the_trial_it_was_at(folder: Path, mocapact) -> None:
    arguments = (*SEARCH, *BRIEF, "--trials", 1, "--total-timesteps", 1024)
    command = [str(part) for part in (PROGRAM, *arguments)]
    process = subprocess.Popen(command, env={**os.environ, "MOCAPACT_HOME": str(folder)}, stderr=subprocess.DEVNULL)
    metrics = folder / "search/trials/0000/expert/metrics.jsonl"
    checkpoint = metrics.with_name("checkpoints") / "last.pt"
    limit = time.monotonic() + 120.0
    while not checkpoint.exists() and time.monotonic() < limit:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    first = metrics.read_text().splitlines()[0]
    document = mocapact(*arguments, "--resume", "--json").json
    assert [(trial["number"], trial["outcome"]) for trial in document["trials"]] == [(1, "finished")]
    assert [path.name for path in (folder / "search/trials").iterdir()] == ["0000"]
    assert metrics.read_text().splitlines()[0] == first


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--total-timesteps", 64, "--space", "none.toml"), 3, "none.toml"),
        (("--total-timesteps", 64, "--space", "odd.toml"), 2, "Did you mean gamma?"),
        (("--total-timesteps", 64, "--trials", 0), 2, "trials is 0"),
        (("--total-timesteps", 64, "--objective", "speed"), 2, "return, length"),
        (("--total-timesteps", 64, "--resume"), 3, "no search to resume"),
        ((), 2, "--total-timesteps"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(folder: Path, mocapact, more: tuple, code: int, says: str) -> None:
    (folder / "odd.toml").write_text("gama = [0.9]\n")
    outcome = mocapact("expert", "tune", "demo_reach-0-20", "-o", "search", *more)
    assert outcome.code == code
    assert says in outcome.stderr
    assert not (folder / "search").exists()


def test_the_way_on_names_the_files_with_the_motion() -> None:
    trial = Trial(0, "finished", 0.5, {"gamma": 0.9}, Path("search/trials/0000/expert"))
    result = TuneResult(Path("search"), Snippet("walk", 0, 9), "return", [trial], Path("my search/best.toml"))
    *_, way_on = _tables(result, [Path("my clips.h5")])
    assert way_on == "Next: mocapact expert train walk-0-9 --mocap 'my clips.h5' --config 'my search/best.toml'"
    *_, way_on = _tables(replace(result, config=None), [])
    assert "No trial has finished" in way_on
