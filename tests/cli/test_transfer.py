"""`mocapact transfer` on published folders and on runs of its own."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("mocapact")


@pytest.fixture(scope="module")
def published(test_data):
    return test_data / "published"


def test_a_published_policy_is_evaluated_as_it_is(published, mocapact):
    line = ["transfer", "eval", published / "transfer" / "go_to_target", "--n-eval-episodes", "4"]
    done = mocapact(*line, "--baseline", "zero", "--mocap", published / "cmu_test_2020.h5", "--json")
    assert done.code == 0, done.stderr
    document = done.json
    assert (document["episodes"], document["start_pose"]) == (4, "CMU_040_12")
    # An untrained policy falls at once, as in the original's own evaluations.
    assert document["length"]["mean"] == pytest.approx(16.0, abs=2.0)
    assert document["task"] == {"success_rate": 0.0, "targets_reached": 0.0, "time_to_target_s": None}
    assert "zero" in document["baselines"]
    shown = mocapact(*line)
    assert "acting by embeddings of 20" in shown.stdout
    assert "demo_squat" in shown.stdout


def test_it_is_filmed(published, mocapact, opengl, tmp_path):
    folder = published / "transfer" / "go_to_target_no_low_level"
    done = mocapact(
        "transfer", "eval", folder, "--n-eval-episodes", "0", "--video", "film.png", "--json", MUJOCO_GL=opengl
    )
    assert done.code == 0, done.stderr
    assert done.json == {"video": "film.png"}


def test_a_folder_without_its_low_level_policy_is_invalid(published, tmp_path, mocapact):
    shutil.copytree(published / "transfer" / "go_to_target", tmp_path / "run")
    (tmp_path / "run/0/eval/model/low_level_policy.ckpt").unlink()
    done = mocapact("transfer", "eval", tmp_path / "run")
    assert done.code == 4
    assert "low_level_policy.ckpt" in done.stderr


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--task", "go-to-targt"], 2, "go-to-target"),
        (["--baseline", "randm"], 2, "random"),
        (["--n-eval-episodes", "0"], 2, "--video"),
        (["--n-eval-episodes", "0", "--video", "film.mp4", "--baseline", "zero"], 2, "--baseline needs episodes"),
        (["--video", "film.avi"], 2, ".mp4"),
    ],
)
def test_a_wrong_option_is_refused_at_once(published, mocapact, more, code, said):
    done = mocapact("transfer", "eval", published / "transfer" / "go_to_target", *more)
    assert done.code == code
    assert said in done.stderr


def test_a_folder_with_nothing_in_it_is_not_found(tmp_path, mocapact):
    done = mocapact("transfer", "eval", tmp_path)
    assert done.code == 3
    assert "eval/model" in done.stderr


def test_distill_eval_leads_on(published, mocapact):
    done = mocapact("distill", "eval", published / "transfer" / "go_to_target")
    assert done.code == 2
    assert "mocapact transfer eval" in done.stderr


SETTINGS = """
num_envs = 8
steps_per_update = 64
batch_size = 32
n_epochs = 1
layers = [8]
eval_every = 64
n_eval_episodes = 2
[task_settings]
max_steps = 10
"""


@pytest.fixture
def skills(tmp_path):
    """A distilled policy that has learned nothing."""
    from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
    from mocapact_cli.core.policies.npmp import NpmpConfig
    from mocapact_cli.core.policies.zoo import build_policy

    config = NpmpConfig(embed_size=4, encoder_layers=(8,), decoder_layers=(8,))
    return write_checkpoint(tmp_path / "skills.ckpt", build_policy(config, seed=0))


@pytest.fixture
def small(tmp_path):
    (tmp_path / "small.toml").write_text(SETTINGS)
    return ["--config", tmp_path / "small.toml", "--threads", "1", "--device", "cpu", "--log-root", tmp_path / "runs"]


def test_a_policy_is_trained_resumed_and_evaluated(small, skills, tmp_path, mocapact):
    line = ["transfer", "train", "--task", "velocity-control", "--low-level-policy", skills, *small]
    done = mocapact(*line, "--total-timesteps", "64", "--json")
    assert done.code == 0, done.stderr
    document = done.json
    assert (document["task"], document["timesteps"]) == ("velocity-control", 64)
    assert document["root"] == str(tmp_path / "runs" / "0")
    again = mocapact(*line, "--total-timesteps", "128", "--resume", "--json")
    assert again.code == 0, again.stderr
    assert again.json["timesteps"] == 128
    for other in (["--task", "go-to-target"], ["--low-level-policy", tmp_path / "other.ckpt"]):
        refused = mocapact("transfer", "train", *small, *other, "--resume")
        assert (refused.code, f"Leave out {other[0]}" in refused.stderr) == (2, True)
    wrong = mocapact("transfer", "eval", tmp_path / "runs", "--task", "go-to-target")
    assert (wrong.code, "It is for velocity-control" in wrong.stderr) == (2, True)
    skills.unlink()
    evaluated = mocapact("transfer", "eval", tmp_path / "runs", "--n-eval-episodes", "3", "--json")
    assert evaluated.code == 0, evaluated.stderr
    scores = evaluated.json
    assert (scores["episodes"], scores["length"]["mean"]) == (3, 10.0)
    assert scores["task"].keys() == {"speed_error", "direction_error"}


def curve(root):
    """The metrics that do not depend on the clock."""
    rows = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines() if line.endswith("}")]
    return [[row["timesteps"], row.get("train_return"), row.get("eval_return"), row.get("kl")] for row in rows]


def test_a_killed_run_goes_on_as_if_nothing_had_happened(small, tmp_path, mocapact, mocapact_home):
    command = ["transfer", "train", "--task", "go-to-target", *map(str, small)]
    process = subprocess.Popen(
        [PROGRAM, *command, "--total-timesteps", "1000000"], cwd=tmp_path, stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, "MOCAPACT_HOME": str(mocapact_home)},
    )  # fmt: skip
    root, deadline = tmp_path / "runs" / "0", time.monotonic() + 120
    while not (root / "metrics.jsonl").exists() or len(curve(root)) < 8:
        assert time.monotonic() < deadline, "the run did not begin"
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.kill()
    process.communicate()
    end = ["--total-timesteps", str(64 * (max(row[0] for row in curve(root)) // 64 + 2))]
    resumed = mocapact(*command, *end, "--resume", "--json")
    assert resumed.code == 0, resumed.stderr
    whole = mocapact(*command[:-1], str(tmp_path / "whole"), *end)
    assert whole.code == 0, whole.stderr
    assert curve(root) == curve(tmp_path / "whole" / "0")


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--task", "go-to-targt"], 2, "go-to-target"),
        (["--low-level-policy", "none.ckpt"], 3, "none.ckpt"),
        (["--preset", "papr"], 2, "paper"),
        (["--resume"], 3, "no run to resume"),
    ],
)
def test_training_refuses_what_cannot_be(small, mocapact, tmp_path, more, code, said):
    done = mocapact("transfer", "train", *small, *more)
    assert done.code == code
    assert said in done.stderr
    assert not (tmp_path / "runs").exists()
