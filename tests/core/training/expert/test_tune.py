"""Searches of settings: what they find, that they go on after a kill, share a folder, and leave comparable runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from filelock import FileLock

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.config import load_toml
from mocapact_cli.core.errors import (
    InterruptedRunError,
    InvalidInputError,
    NotFoundError,
    RunError,
    UsageError,
)
from mocapact_cli.core.training.expert import tune
from mocapact_cli.core.training.expert.config import ExpertConfig
from mocapact_cli.core.training.expert.monitor import ExpertMonitor

BASE = ExpertConfig(
    total_timesteps=128,
    num_envs=4,
    threads=1,
    steps_per_update=32,
    batch_size=32,
    n_epochs=1,
    n_rsi_episodes=2,
    n_start_episodes=1,
    warm_start="none",
    overlap=False,
)
SPACE = {"desired_kl": {"low": 0.05, "high": 0.4, "log": True}, "layers": [[8], [16]]}
SNIPPET = Snippet("demo_reach", 0, 20)
ONE = tune.TuneConfig(trials=1, prune=False)
TWO = tune.TuneConfig(trials=2, prune=False)


@pytest.fixture(autouse=True)
def one_torch_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def search(root: Path, config: tune.TuneConfig = TWO, base: ExpertConfig = BASE, **more: Any) -> tune.TuneResult:
    return tune.tune_expert(demo("demo_reach"), SNIPPET, base, SPACE, root, config=config, **more)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tune.TuneResult:
    """A search of one trial."""
    return search(tmp_path_factory.mktemp("searched") / "search", ONE)


@pytest.fixture
def copied(searched: tune.TuneResult, tmp_path: Path) -> Path:
    """A copy of its folder."""
    return Path(shutil.copytree(searched.root, tmp_path / "copied"))


def scores_of_run(root: Path, name: str = "rsi_norm_return") -> list[float]:
    rows = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if name in row]


def test_the_best_trial_is_first_and_its_settings_train_an_expert(tmp_path: Path) -> None:
    result = search(tmp_path / "search")
    assert [trial.outcome for trial in result.trials] == ["finished"] * 2
    scores = [trial.score for trial in result.trials]
    assert scores == sorted(scores, reverse=True)
    assert all(trial.score == max(scores_of_run(trial.root)) for trial in result.trials)
    assert len({json.dumps(trial.settings) for trial in result.trials}) == 2
    assert result.config is not None
    best, settings = load_toml(ExpertConfig, result.config), result.trials[0].settings
    assert (best.desired_kl, list(best.layers)) == (settings["desired_kl"], settings["layers"])
    recorded = json.loads((result.trials[0].root / "config.json").read_text())["training"]
    assert recorded["desired_kl"] == settings["desired_kl"]
    assert best.num_envs == BASE.num_envs


def test_a_trial_is_evaluated_on_its_way(searched: tune.TuneResult) -> None:
    assert len(scores_of_run(searched.trials[0].root)) >= 4


def test_length_can_be_searched_for(tmp_path: Path) -> None:
    result = search(tmp_path / "search", tune.TuneConfig(trials=1, objective="length"))
    assert result.trials[0].score == max(scores_of_run(result.trials[0].root, "rsi_norm_length"))


def test_a_search_goes_on_with_more_trials_and_other_settings(searched: tune.TuneResult, copied: Path) -> None:
    root = copied
    both = search(root, TWO, resume=True)
    assert {trial.number for trial in both.trials} == {0, 1}
    kept = next(trial for trial in both.trials if trial.number == 0)
    assert kept == replace(searched.trials[0], root=kept.root)
    assert both.trials[0].settings != both.trials[1].settings
    assert search(root, TWO, resume=True) == both


def test_an_interrupted_trial_goes_on_in_its_folder(
    searched: tune.TuneResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, usual, whole = tmp_path / "search", ExpertMonitor._on_step, searched

    def interrupted(self: ExpertMonitor) -> bool:
        if self.num_timesteps > 70:
            raise KeyboardInterrupt
        return usual(self)

    monkeypatch.setattr(ExpertMonitor, "_on_step", interrupted)
    with pytest.raises(InterruptedRunError):
        search(root, ONE)
    monkeypatch.setattr(ExpertMonitor, "_on_step", usual)
    result = search(root, ONE, resume=True)
    assert [trial.outcome for trial in result.trials] == ["finished"]
    assert [path.name for path in (root / "trials").iterdir()] == ["0000"]
    assert result.trials[0].settings == whole.trials[0].settings
    # What it had before the interruption it did not do again.
    begun, after = scores_of_run(whole.trials[0].root), scores_of_run(result.trials[0].root)
    assert after[:2] == begun[:2]
    assert len(after) == len(begun)


def test_a_trial_whose_process_was_killed_goes_on_and_a_living_one_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        """Like a kill: nothing is told to the study."""

    def killed(self: ExpertMonitor) -> bool:
        raise KilledError

    root, usual = tmp_path / "search", ExpertMonitor._on_step
    monkeypatch.setattr(ExpertMonitor, "_on_step", killed)
    with pytest.raises(KilledError):
        search(root, ONE)
    monkeypatch.setattr(ExpertMonitor, "_on_step", usual)
    with FileLock(root / "trials/0000/lock"):
        assert [trial.outcome for trial in search(root, ONE, resume=True).trials] == ["running"]
        alone = search(root, TWO, resume=True)
    assert {(trial.number, trial.outcome) for trial in alone.trials} == {(0, "running"), (1, "finished")}
    assert alone.trials[0].settings != alone.trials[1].settings
    result = search(root, TWO, resume=True)
    assert [trial.outcome for trial in result.trials] == ["finished", "finished"]
    assert {trial.root.parent.name for trial in result.trials} == {"0000", "0001"}


def test_a_trial_that_is_worse_than_the_others_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna.trial.Trial, "should_prune", lambda trial: trial.number == 1)
    result = search(tmp_path / "search", tune.TuneConfig(trials=2))
    by_number = {trial.number: trial for trial in result.trials}
    assert (by_number[0].outcome, by_number[1].outcome) == ("finished", "pruned")
    assert len(scores_of_run(by_number[1].root)) < len(scores_of_run(by_number[0].root))
    # However good it was when it ended, nobody knows how it would have gone on.
    assert result.config is not None
    assert load_toml(ExpertConfig, result.config).desired_kl == by_number[0].settings["desired_kl"]


def test_a_trial_that_diverges_does_not_end_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = tune.train_expert
    calls = []

    def first_diverges(*args: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise RunError("The learner diverged.")
        return usual(*args, **named)

    monkeypatch.setattr(tune, "train_expert", first_diverges)
    result = search(tmp_path / "search", TWO)
    assert [(trial.number, trial.outcome) for trial in result.trials] == [(1, "finished"), (0, "failed")]
    assert result.trials[1].score is None


def test_another_search_in_the_folder_is_refused_and_left_as_it_was(
    searched: tune.TuneResult, copied: Path, tmp_path: Path
) -> None:
    root, one = copied, ONE
    with pytest.raises(UsageError, match="already holds a search"):
        search(root, one)
    with pytest.raises(UsageError, match="another training"):
        search(root, one, replace(BASE, gamma=0.9), resume=True)
    with pytest.raises(UsageError, match="another objective"):
        search(root, replace(one, objective="length"), resume=True)
    with pytest.raises(NotFoundError, match="no search to resume"):
        search(tmp_path / "nothing", one, resume=True)
    assert search(root, one, replace(BASE, threads=2), resume=True).trials[0].score == searched.trials[0].score
    assert [trial.number for trial in search(root, one, force=True).trials] == [0]


def test_a_damaged_study_is_named(copied: Path) -> None:
    (copied / tune.STUDY).write_bytes(b"junk" * 1000)
    with pytest.raises(InvalidInputError, match=r"study\.db"):
        search(copied, TWO, resume=True)
