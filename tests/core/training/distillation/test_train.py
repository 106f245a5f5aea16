"""Distillation on a small dataset."""

import json
import math
import os
import signal
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import InterruptedRunError, InvalidInputError, NotFoundError, RunError, UsageError
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.policies.embedding import EmbeddingConfig
from mocapact_cli.core.policies.mlp import MlpPolicy
from mocapact_cli.core.policies.npmp import NpmpPolicy
from mocapact_cli.core.policies.zoo import PRESETS
from mocapact_cli.core.training.distillation import monitor
from mocapact_cli.core.training.distillation.config import EVAL_MODES, WEIGHTINGS, DistillConfig
from mocapact_cli.core.training.distillation.data import divide
from mocapact_cli.core.training.distillation.evaluations import Evaluation, plan_evaluations
from mocapact_cli.core.training.distillation.train import distill

CONFIG = DistillConfig(max_steps=60, batch_size=8, eval_every=20, n_eval_episodes=4, seed=1, threads=1)


def small(model):
    network = PRESETS[model]
    changes = {
        "layers": (32, 32), "encoder_layers": (32, 32), "decoder_layers": (32, 32), "embed_size": 8, "seq_steps": 10,
        "gating_layers": (16,), "shared_layers": (16,), "primitive_layers": (16,), "n_layer": 1, "n_head": 2,
        "n_embd": 16, "block_size": 8,
    }  # fmt: skip
    fitting = {name: value for name, value in changes.items() if hasattr(network, name)}
    if model == "hierarchical":
        del fitting["seq_steps"]
    return replace(network, **fitting)


@pytest.fixture(scope="module")
def pairs():
    library = open_library()
    return [(library.get(name), Snippet(name, 0, 40)) for name in ("demo_squat", "demo_reach")]


def losses(root, name="train_loss"):
    rows = [line for line in (root / "metrics.jsonl").read_text().splitlines() if name in line]
    return [json.loads(row)[name] for row in rows]


@pytest.mark.parametrize("model", sorted(PRESETS))
def test_every_model_learns_and_opens_again(tmp_path, rollouts, model, monkeypatch):
    monkeypatch.setattr(monitor, "_RECORD_EVERY", 20)
    config = replace(CONFIG, model=model, max_steps=120, n_eval_episodes=0, learning_rate=3e-3, batch_size=32)
    result = distill(divide(rollouts), config, small(model), tmp_path / "run")
    mse = losses(tmp_path / "run", "train_mse")
    assert mse[-1] < 0.9 * mse[0]
    assert (result.steps, result.stopped_because) == (120, "all steps were taken")
    policy = load_policy(tmp_path / "run")
    assert policy.model == small(model).__class__.__name__.removesuffix("Config").lower()
    actions, _ = policy.predict(np.zeros((2, policy.obs_size), dtype=np.float32))
    assert np.isfinite(actions).all()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_weights_change_what_is_learned(tmp_path, rollouts, weighting):
    config = replace(CONFIG, weighting=weighting, max_steps=50, n_eval_episodes=0)
    distill(divide(rollouts), config, small("npmp"), tmp_path / weighting)
    plain = replace(config, weighting="bc")
    distill(divide(rollouts), plain, small("npmp"), tmp_path / "plain")
    assert (losses(tmp_path / weighting) == losses(tmp_path / "plain")) == (weighting == "bc")


def test_evaluations_are_reported_and_the_best_are_kept(tmp_path, rollouts, pairs):
    subjects = {"train": pairs, "val": pairs[:1], "clips": pairs[1:]}
    data = divide(rollouts, val=rollouts[:1])
    result = distill(data, CONFIG, small("npmp"), tmp_path, subjects=subjects, force=True)
    assert [row["step"] for row in result.evaluations] == [20, 40, 60]
    names = {f"{mode}_{score}" for mode in EVAL_MODES for score in ("norm_return", "norm_length")}
    assert all({"val_loss", "val_mse", *names} <= set(row) for row in result.evaluations)
    assert result.best == tmp_path / "model" / "best.ckpt"
    first = max(result.evaluations, key=lambda row: row["train_rsi_norm_return"])
    for place, step in (("model/best.ckpt", first["step"]), ("eval/train_rsi/best_model.ckpt", first["step"])):
        assert torch.load(tmp_path / place, weights_only=True)["global_step"] == step
    assert all((tmp_path / "eval" / mode / "best_model.ckpt").is_file() for mode in EVAL_MODES)
    tags = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()["scalars"]
    assert {"train/loss", "train/samples_per_s", "eval/val_loss", "eval/clips_start_norm_length"} <= set(tags)


def test_the_first_evaluation_chooses_and_the_loss_where_there_is_none(tmp_path, rollouts, pairs):
    config = replace(CONFIG, eval_modes=("val_start", "train_rsi"))
    assert [part.mode for part in plan_evaluations({"val": pairs, "train": pairs}, config, (1,))] == [
        *config.eval_modes
    ]
    data = divide(rollouts, val=rollouts[:1])
    distill(data, replace(CONFIG, n_eval_episodes=0), small("mlp-reference"), tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    best = min((row for row in rows if "val_loss" in row), key=lambda row: row["val_loss"])
    assert torch.load(tmp_path / "model" / "best.ckpt", weights_only=True)["global_step"] == best["step"]


def same(first, second):
    states = [torch.load(root / "model" / "last.ckpt", weights_only=True)["state_dict"] for root in (first, second)]
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_run_that_goes_on_follows_the_same_curve(tmp_path, rollouts, monkeypatch):
    config = replace(CONFIG, n_eval_episodes=0)
    distill(divide(rollouts), config, small("npmp"), tmp_path / "whole")
    saved = monitor.DistillMonitor.save

    def killed(self, module):
        saved(self, module)
        if module.step == 40:
            raise MemoryError("killed")

    monkeypatch.setattr(monitor.DistillMonitor, "save", killed)
    with pytest.raises(MemoryError):
        distill(divide(rollouts), config, small("npmp"), tmp_path / "parts")
    monkeypatch.setattr(monitor.DistillMonitor, "save", saved)
    result = distill(divide(rollouts), config, small("npmp"), tmp_path / "parts", resume=True)
    assert result.steps == 60
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert not same_seed(tmp_path, rollouts, config)


def test_a_run_killed_before_its_first_checkpoint_begins_again(tmp_path, rollouts, monkeypatch):
    config, data = replace(CONFIG, n_eval_episodes=0), divide(rollouts)
    distill(data, config, small("npmp"), tmp_path / "whole")

    def killed(self, module):
        raise MemoryError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(monitor.DistillMonitor, "save", killed)
        with pytest.raises(MemoryError):
            distill(data, config, small("npmp"), tmp_path / "parts")
    # The network is the one that the run began with, not the one that is named now.
    result = distill(data, config, PRESETS["npmp"], tmp_path / "parts", resume=True)
    assert result.steps == 60
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


def same_seed(tmp_path, rollouts, config):
    distill(divide(rollouts), replace(config, seed=2), small("npmp"), tmp_path / "other")
    return same(tmp_path / "whole", tmp_path / "other")


def press_ctrl_c(monkeypatch, at, times=1):
    """Interrupt gradient step `at` in its middle."""
    honest, calls = NpmpPolicy.loss, []

    def loss(self, batch, noise=None):
        calls.append(batch)
        for _ in range(times if len(calls) == at else 0):
            os.kill(os.getpid(), signal.SIGINT)
        return honest(self, batch, noise)

    monkeypatch.setattr(NpmpPolicy, "loss", loss)


def test_ctrl_c_ends_the_step_and_saves(tmp_path, rollouts, monkeypatch):
    config = replace(CONFIG, n_eval_episodes=0, eval_every=100)
    distill(divide(rollouts), config, small("npmp"), tmp_path / "whole")
    with monkeypatch.context() as patched:
        press_ctrl_c(patched, at=55)
        with pytest.raises(InterruptedRunError, match="after 55 steps") as raised:
            distill(divide(rollouts), config, small("npmp"), tmp_path / "parts")
    assert "--resume" in raised.value.hint
    assert distill(divide(rollouts), config, small("npmp"), tmp_path / "parts", resume=True).steps == 60
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_a_second_ctrl_c_does_not_wait_and_keeps_the_last_checkpoint(tmp_path, rollouts, monkeypatch):
    config = replace(CONFIG, n_eval_episodes=0)
    press_ctrl_c(monkeypatch, at=30, times=2)
    with pytest.raises(InterruptedRunError, match="in the middle of a step"):
        distill(divide(rollouts), config, small("npmp"), tmp_path)
    assert torch.load(tmp_path / "model" / "last.ckpt", weights_only=True)["global_step"] == 20
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_evaluation_that_was_interrupted_is_made_up_for(tmp_path, rollouts, pairs, monkeypatch):
    config, data = replace(CONFIG, eval_modes=("train_rsi",)), divide(rollouts)
    distill(data, config, small("npmp"), tmp_path / "whole", subjects={"train": pairs})
    honest = Evaluation.scores

    def interrupted(self, policy):
        if (tmp_path / "parts" / "model" / "best.ckpt").exists():
            os.kill(os.getpid(), signal.SIGINT)
        return honest(self, policy)

    with monkeypatch.context() as patched:
        patched.setattr(Evaluation, "scores", interrupted)
        with pytest.raises(InterruptedRunError, match="after 40 steps"):
            distill(data, config, small("npmp"), tmp_path / "parts", subjects={"train": pairs})
    result = distill(data, config, small("npmp"), tmp_path / "parts", subjects={"train": pairs}, resume=True)
    assert [row["step"] for row in result.evaluations] == [20, 40, 60]
    assert losses(tmp_path / "parts", "train_rsi_norm_return") == losses(tmp_path / "whole", "train_rsi_norm_return")
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_seeds_of_steps_leave_nothing_behind(tmp_path, rollouts):
    before = len(torch.cuda._queued_calls)
    distill(divide(rollouts), replace(CONFIG, n_eval_episodes=0, max_steps=20), small("npmp"), tmp_path)
    assert len(torch.cuda._queued_calls) < before + 20


def test_time_makes_checkpoints_too(tmp_path, rollouts, monkeypatch):
    saved = []
    monkeypatch.setattr(monitor, "write_checkpoint", lambda path, policy, extra: saved.append(extra["global_step"]))
    config = replace(CONFIG, n_eval_episodes=0, max_steps=5, save_every_minutes=1e-9)
    distill(divide(rollouts), config, small("mlp-reference"), tmp_path)
    assert saved == [1, 2, 3, 4, 5]


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, rollouts, monkeypatch):
    config = replace(CONFIG, n_eval_episodes=0)
    distill(divide(rollouts), replace(config, max_steps=20), small("mlp-reference"), tmp_path)
    kept = (tmp_path / "model" / "last.ckpt").read_bytes()
    honest = MlpPolicy.loss

    def lost(self, batch):
        loss, seen = honest(self, batch)
        return loss * math.nan, seen | {"loss": seen["loss"] * math.nan}

    monkeypatch.setattr(MlpPolicy, "loss", lost)
    with pytest.raises(RunError, match="no longer a number after 40 steps"):
        distill(divide(rollouts), config, small("mlp-reference"), tmp_path, resume=True)
    assert (tmp_path / "model" / "last.ckpt").read_bytes() == kept


def test_time_ends_a_run(tmp_path, rollouts):
    config = replace(CONFIG, max_minutes=1e-6, n_eval_episodes=0)
    result = distill(divide(rollouts), config, small("mlp-reference"), tmp_path)
    assert (result.steps, result.stopped_because) == (1, "1e-06 minutes were over")


def test_an_existing_run_is_kept_unless_it_is_named(tmp_path, rollouts):
    config = replace(CONFIG, max_steps=1, n_eval_episodes=0)
    distill(divide(rollouts), config, small("mlp-reference"), tmp_path / "run")
    with pytest.raises(UsageError, match="already holds a run"):
        distill(divide(rollouts), config, small("mlp-reference"), tmp_path / "run")
    assert distill(divide(rollouts), config, small("mlp-reference"), tmp_path / "run", force=True).steps == 1
    with pytest.raises(NotFoundError, match="no run to resume"):
        distill(divide(rollouts), config, small("mlp-reference"), tmp_path / "none", resume=True)


def test_a_damaged_checkpoint_is_named(tmp_path, rollouts):
    config = replace(CONFIG, max_steps=1, n_eval_episodes=0)
    distill(divide(rollouts), config, small("mlp-reference"), tmp_path)
    (tmp_path / "model" / "last.ckpt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InvalidInputError, match=r"last\.ckpt cannot be resumed"):
        distill(divide(rollouts), config, small("mlp-reference"), tmp_path, resume=True)


def test_what_the_dataset_lacks_is_named_before_training(tmp_path, rollouts, write_rollouts):
    (tmp_path / "other").mkdir()
    other = sorted(write_rollouts(tmp_path / "other", ref_steps=(1, 2)).glob("*.hdf5"))
    with pytest.raises(InvalidInputError, match="look 1, 2 steps ahead"):
        distill(divide(other), CONFIG, small("npmp"), tmp_path / "run")
    with pytest.raises(InvalidInputError, match="differ in their"):
        distill(divide([rollouts[0], other[1]]), CONFIG, small("npmp"), tmp_path / "run")
    with pytest.raises(UsageError, match="has 50 steps"):
        distill(divide(rollouts), CONFIG, replace(small("npmp"), seq_steps=50), tmp_path / "run")
    with h5py.File(other[0], "r+") as file:
        file["demo_reach-0-40/0/actions"][0, 0] = np.nan
    with pytest.raises(InvalidInputError, match="not finite"):
        distill(
            divide(other),
            replace(CONFIG, return_mean_act=False),
            replace(small("npmp"), ref_steps=(1, 2)),
            tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()


def test_embedding_models_are_known():
    assert isinstance(small("npmp"), EmbeddingConfig)
