"""Published folders on the command line, as they are, named by any sensible folder of theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mocapact_cli.core.datasets.reader import read_rollouts

SNIPPET = "CMU_902_01-0-89"


@pytest.fixture
def published(test_data: Path) -> Path:
    return test_data / "published"


@pytest.mark.parametrize("place", [f"experts/{SNIPPET}/0/eval_start/model", "experts_py38"])
def test_experts_are_evaluated(mocapact, published: Path, place: str) -> None:
    done = mocapact("expert", "eval", published / place, *_motion(published), "--n-eval-episodes", 2, "--json")
    assert done.code == 0, done.stderr
    assert (done.json["episodes"], done.json["snippets"][0]["snippet"]) == (2, SNIPPET)
    assert done.json["norm_length"]["mean"] > 0.5


def test_an_expert_is_recorded(mocapact, published: Path, tmp_path: Path) -> None:
    flags = ("--n-start-rollouts", 1, "--n-rsi-rollouts", 0)
    done = mocapact("rollout", published / "experts_py38", "-o", "dataset", *_motion(published), *flags, "--json")
    assert done.code == 0, done.stderr
    with read_rollouts(tmp_path / "dataset") as rollouts:
        assert rollouts.snippets == (SNIPPET,)
        assert rollouts[SNIPPET][0].observations.shape[1] == 2868
    assert mocapact("inspect", "dataset", "--check").code == 0


@pytest.mark.parametrize("place", ["motion_completion/gpt", "multi_clip/npmp_rwr/eval/train_rsi"])
def test_policies_are_evaluated(mocapact, published: Path, place: str) -> None:
    flags = ("--snippets", SNIPPET, "--n-eval-episodes", 2)
    done = mocapact("distill", "eval", published / place, *_motion(published), *flags, "--json")
    assert done.code == 0, done.stderr
    assert done.json["episodes"] == 2


@pytest.mark.parametrize("place", ["transfer/go_to_target", "experts_py38"])
def test_they_become_plain_files(mocapact, published: Path, place: str) -> None:
    done = mocapact("export", published / place, "--to", "safetensors", "-o", "a.safetensors", "--json")
    assert done.code == 0, done.stderr
    assert done.json["largest_difference"] == 0.0
    assert mocapact("inspect", "a.safetensors", "--json").json["model"] == done.json["model"]


def test_without_its_motion_an_expert_says_what_to_name(mocapact, published: Path) -> None:
    done = mocapact("expert", "eval", published / "experts" / SNIPPET, "--n-eval-episodes", 1)
    assert done.code == 3
    assert "no clip 'CMU_902_01'" in done.stderr
    assert "--mocap" in done.stderr


def _motion(published: Path) -> tuple[str, Path]:
    return "--mocap", published / "cmu_test_2020.h5"
