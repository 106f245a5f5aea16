"""`--wandb` of every training: offline, read back from what W&B has written."""

import json
import sys
from pathlib import Path

import pytest
from wandb_file import rows, sessions

from mocapact_cli.cli import main

PPO = """
num_envs = 8
steps_per_update = 64
batch_size = 32
n_epochs = 1
layers = [8]
eval_every = 64
device = "cpu"
threads = 1
"""
SETTINGS = {
    "expert": PPO + 'warm_start = "none"\nn_rsi_episodes = 2\nn_start_episodes = 2\n',
    "transfer": PPO + "n_eval_episodes = 2\n[task_settings]\nmax_steps = 10\n",
    "distill": "batch_size = 8\nn_eval_episodes = 0\neval_every = 20\nthreads = 1\n[policy]\nlayers = [8]\n",
}


@pytest.fixture
def lines(tmp_path, write_rollouts):
    """Command lines of a small training each, and its folder."""
    for name, text in SETTINGS.items():
        (tmp_path / f"{name}.toml").write_text(text)
    distill = ("--dataset", write_rollouts(tmp_path / "dataset"), "--model", "mlp-reference", "--output-root", "policy")
    log_root = ("--log-root", "log")
    return {
        "expert": ((*("expert", "train", "demo_reach-0-30"), *log_root), tmp_path / "log/demo_reach-0-30/0"),
        "transfer": ((*("transfer", "train"), *log_root), tmp_path / "log/0"),
        "distill": ((*("distill", "train"), *distill), tmp_path / "policy"),
    }


def metrics(root: Path):
    return [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]


def known(lines):
    """Rows without what is None, which W&B does not take."""
    return [{name: value for name, value in row.items() if value is not None} for row in lines]


@pytest.mark.parametrize(
    ("kind", "limit", "first", "second"),
    [
        ("expert", "--total-timesteps", 64, 128),
        ("transfer", "--total-timesteps", 64, 128),
        ("distill", "--max-steps", 20, 40),
    ],
)
def test_a_training_and_its_resumption_are_one_run(mocapact, lines, kind, limit, first, second):
    line, root = lines[kind]
    line = (*line, "--config", f"{kind}.toml", "--wandb", "--json")
    begun = mocapact(*line, limit, first, WANDB_MODE="offline")
    assert (begun.code, begun.stderr.count("W&B")) == (0, 0), begun.stderr
    after_first = len(metrics(root))
    gone_on = mocapact(*line, limit, second, "--resume", WANDB_MODE="offline")
    assert (gone_on.code, gone_on.stderr.count("W&B")) == (0, 0), gone_on.stderr
    one, two = sessions(root)
    assert one["id"] == two["id"]
    written = known(metrics(root))
    assert rows(one) == written[:after_first]
    assert rows(two) == written[after_first:] != []
    config = json.loads((root / "config.json").read_text())
    for name, value in config["training"].items():
        assert one["config"]["training"][name] == two["config"]["training"][name] == value, name
    assert two["summary"]["stopped_because"] == gone_on.json["stopped_because"]
    assert (one["exit_code"], two["exit_code"]) == (0, 0)
    drawn = {path.stem for path in root.glob("*.png")}
    assert {path.name.split("_")[0] for path in root.rglob("media/images/*.png")} == drawn
    assert kind != "expert" or drawn == {"curve"}


def test_a_failing_service_is_one_warning(mocapact, lines, tmp_path):
    line, root = lines["transfer"]
    done = mocapact(
        *line, "--config", "transfer.toml", "--total-timesteps", 64, "--wandb", "--json",
        WANDB_MODE="online", WANDB_API_KEY="", HOME=str(tmp_path),
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert done.stderr.count("W&B no longer follows this run") == 1
    assert "Traceback" not in done.stderr
    assert done.json["timesteps"] == 64
    assert len(metrics(root)) >= 2


def test_a_training_that_cannot_begin_leaves_nothing_behind(mocapact, lines):
    line, root = lines["transfer"]
    done = mocapact(
        *line, "--config", "transfer.toml", "--wandb", "--low-level-policy", "nowhere", WANDB_MODE="offline"
    )
    assert done.code == 3
    assert not root.exists()


@pytest.mark.parametrize("kind", ["expert", "transfer", "distill"])
def test_without_the_package_the_extra_is_named(lines, kind, monkeypatch, fresh_out, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", None)
    line, root = lines[kind]
    code = main.invoke([*map(str, line), "--config", f"{kind}.toml", "--wandb"])
    said = capsys.readouterr().err
    assert code == 1
    assert "The package wandb is not installed" in said
    assert "pip install 'mocapact[wandb]'" in said
    assert not root.exists()
