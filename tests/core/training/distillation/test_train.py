"""Distillation on a small dataset."""

import json
import math
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import InterruptedRunError, InvalidInputError, NotFoundError, RunError, UsageError
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.policies.embedding import EmbeddingConfig
from mocapact_cli.core.policies.mlp import MlpPolicy
from mocapact_cli.core.policies.zoo import PRESETS
from mocapact_cli.core.training.distillation import monitor
from mocapact_cli.core.training.distillation.config import WEIGHTINGS, DistillConfig
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
    result = distill(rollouts, config, small(model), tmp_path / "run")
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
    distill(rollouts, config, small("npmp"), tmp_path / weighting)
    plain = replace(config, weighting="bc")
    distill(rollouts, plain, small("npmp"), tmp_path / "plain")
    assert (losses(tmp_path / weighting) == losses(tmp_path / "plain")) == (weighting == "bc")


def test_evaluations_are_reported_and_the_best_is_kept(tmp_path, rollouts, pairs):
    result = distill(rollouts, CONFIG, small("npmp"), tmp_path, pairs=pairs, val_files=rollouts[:1], force=True)
    assert [row["step"] for row in result.evaluations] == [20, 40, 60]
    assert all({"norm_return", "norm_length", "val_loss"} <= set(row) for row in result.evaluations)
    assert result.best == tmp_path / "model" / "best.ckpt"
    assert load_policy(result.best).model == "npmp"


def same(first, second):
    states = [torch.load(root / "model" / "last.ckpt", weights_only=True)["state_dict"] for root in (first, second)]
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_run_that_goes_on_follows_the_same_curve(tmp_path, rollouts, monkeypatch):
    config = replace(CONFIG, n_eval_episodes=0)
    distill(rollouts, config, small("npmp"), tmp_path / "whole")
    saved = monitor.DistillMonitor.save

    def killed(self, module):
        saved(self, module)
        if module.step == 40:
            raise MemoryError("killed")

    monkeypatch.setattr(monitor.DistillMonitor, "save", killed)
    with pytest.raises(MemoryError):
        distill(rollouts, config, small("npmp"), tmp_path / "parts")
    monkeypatch.setattr(monitor.DistillMonitor, "save", saved)
    result = distill(rollouts, config, small("npmp"), tmp_path / "parts", resume=True)
    assert result.steps == 60
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert not same_seed(tmp_path, rollouts, config)


def same_seed(tmp_path, rollouts, config):
    distill(rollouts, replace(config, seed=2), small("npmp"), tmp_path / "other")
    return same(tmp_path / "whole", tmp_path / "other")


def test_ctrl_c_saves(tmp_path, rollouts, monkeypatch):
    record = monitor.DistillMonitor._record

    def interrupted(self):
        record(self)
        raise KeyboardInterrupt

    config = replace(CONFIG, n_eval_episodes=0, eval_every=100)
    monkeypatch.setattr(monitor, "_RECORD_EVERY", 30)
    monkeypatch.setattr(monitor.DistillMonitor, "_record", interrupted)
    with pytest.raises(InterruptedRunError, match="after 30 steps") as raised:
        distill(rollouts, config, small("npmp"), tmp_path)
    assert "--resume" in raised.value.hint
    monkeypatch.setattr(monitor.DistillMonitor, "_record", record)
    assert distill(rollouts, config, small("npmp"), tmp_path, resume=True).steps == 60


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, rollouts, monkeypatch):
    config = replace(CONFIG, n_eval_episodes=0)
    distill(rollouts, replace(config, max_steps=20), small("mlp-reference"), tmp_path)
    kept = (tmp_path / "model" / "last.ckpt").read_bytes()
    honest = MlpPolicy.loss

    def lost(self, batch):
        loss, seen = honest(self, batch)
        return loss * math.nan, seen | {"loss": seen["loss"] * math.nan}

    monkeypatch.setattr(MlpPolicy, "loss", lost)
    with pytest.raises(RunError, match="no longer a number after 40 steps"):
        distill(rollouts, config, small("mlp-reference"), tmp_path, resume=True)
    assert (tmp_path / "model" / "last.ckpt").read_bytes() == kept


def test_time_ends_a_run(tmp_path, rollouts):
    config = replace(CONFIG, max_minutes=1e-6, n_eval_episodes=0)
    result = distill(rollouts, config, small("mlp-reference"), tmp_path)
    assert (result.steps, result.stopped_because) == (1, "1e-06 minutes were over")


def test_an_existing_run_is_kept_unless_it_is_named(tmp_path, rollouts):
    config = replace(CONFIG, max_steps=1, n_eval_episodes=0)
    distill(rollouts, config, small("mlp-reference"), tmp_path / "run")
    with pytest.raises(UsageError, match="already holds a run"):
        distill(rollouts, config, small("mlp-reference"), tmp_path / "run")
    assert distill(rollouts, config, small("mlp-reference"), tmp_path / "run", force=True).steps == 1
    with pytest.raises(NotFoundError, match="no run to resume"):
        distill(rollouts, config, small("mlp-reference"), tmp_path / "none", resume=True)


def test_a_damaged_checkpoint_is_named(tmp_path, rollouts):
    config = replace(CONFIG, max_steps=1, n_eval_episodes=0)
    distill(rollouts, config, small("mlp-reference"), tmp_path)
    (tmp_path / "model" / "last.ckpt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InvalidInputError, match=r"last\.ckpt cannot be resumed"):
        distill(rollouts, config, small("mlp-reference"), tmp_path, resume=True)


def test_what_the_dataset_lacks_is_named_before_training(tmp_path, rollouts, write_rollouts):
    (tmp_path / "other").mkdir()
    other = sorted(write_rollouts(tmp_path / "other", ref_steps=(1, 2)).glob("*.hdf5"))
    with pytest.raises(InvalidInputError, match="look 1, 2 steps ahead"):
        distill(other, CONFIG, small("npmp"), tmp_path / "run")
    with pytest.raises(InvalidInputError, match="differ in their"):
        distill([rollouts[0], other[1]], CONFIG, small("npmp"), tmp_path / "run")
    with pytest.raises(UsageError, match="has 50 steps"):
        distill(rollouts, CONFIG, replace(small("npmp"), seq_steps=50), tmp_path / "run")
    with h5py.File(other[0], "r+") as file:
        file["demo_reach-0-40/0/actions"][0, 0] = np.nan
    with pytest.raises(InvalidInputError, match="not finite"):
        distill(
            other, replace(CONFIG, return_mean_act=False), replace(small("npmp"), ref_steps=(1, 2)), tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


def test_embedding_models_are_known():
    assert isinstance(small("npmp"), EmbeddingConfig)
