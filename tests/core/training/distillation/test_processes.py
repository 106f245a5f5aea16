"""Several processes learn what a single one would."""

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mocapact_cli.core.config import apply_overrides
from mocapact_cli.core.datasets.loader import BatchLoader
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.embedding import EmbeddingPolicy
from mocapact_cli.core.policies.zoo import build_policy, preset
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.training.distillation import module as learning
from mocapact_cli.core.training.distillation.config import DistillConfig
from mocapact_cli.core.training.distillation.data import divide, open_part
from mocapact_cli.core.training.distillation.module import DistillModule, compiles
from mocapact_cli.core.training.distillation.processes import placed, rank, world_size

PROGRAM = Path(__file__).with_name("several.py")
SMALL = {
    "mlp-reference": {"layers": [16]},
    "hierarchical": {"encoder_layers": [16], "decoder_layers": [16], "embed_size": 4},
    "npmp": {"encoder_layers": [16], "decoder_layers": [16], "embed_size": 4, "seq_steps": 6},
    "mcp": {
        "encoder_layers": [16],
        "gating_layers": [8],
        "shared_layers": [8],
        "primitive_layers": [8],
        "seq_steps": 6,
    },
    "gpt": {"n_layer": 1, "n_head": 2, "n_embd": 8, "block_size": 4, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
    | {"attn_pdrop": 0.0},
}


def gradients(policy, config, batch, place, monkeypatch):
    module = DistillModule(policy, config)
    monkeypatch.setattr(DistillModule, "_place", place)
    module.zero_grad()
    module.training_step(batch, 0).backward()
    return torch.cat([value.grad.flatten() for value in policy.parameters()])


@pytest.mark.parametrize("model", SMALL)
def test_the_mean_of_the_shares_gradients_is_that_of_the_whole_batch(rollouts, model, monkeypatch):
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    monkeypatch.setattr(torch, "randn", lambda size, **options: torch.zeros(size))
    config = DistillConfig(model=model, weighting="rwr", batch_size=12, device="cpu")
    policy = build_policy(apply_overrides(preset(model), SMALL[model]), seed=1)
    data = open_part(divide(rollouts).train, policy, config, None, NullProgress(), upsampling=True)
    whole = BatchLoader(data, 12, seed=2).batch(5)
    assert whole.weights.std() > 0.0
    expected = gradients(policy, config, whole, (0, 1), monkeypatch)
    shares = [BatchLoader(data, 12, seed=2, share=(part, 3)).batch(5) for part in range(3)]
    assert torch.equal(torch.cat([share.actions for share in shares]), whole.actions)
    parts = [gradients(policy, config, share, (part, 3), monkeypatch) for part, share in enumerate(shares)]
    torch.testing.assert_close(torch.stack(parts).mean(0), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def run(data, runs, *arguments):
    line = [sys.executable, str(PROGRAM), str(data), str(runs), *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def weights(path):
    content = torch.load(path, weights_only=True)
    return content.get("state_dict", content)


def distance(first, second):
    """Largest difference of two sets of weights."""
    return max(float((first[name] - second[name]).abs().max()) for name in first)


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_each_goes_on_with_the_others_run(tmp_path, rollouts, monkeypatch):
    data = rollouts[0].parent
    program = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location("several", PROGRAM))
    spec.loader.exec_module(program)
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    monkeypatch.setattr(EmbeddingPolicy, "draw_noise", program.no_noise)
    (tmp_path / "two").mkdir()
    run(data, tmp_path / "two", 2, 15)
    program.learn(data, tmp_path / "one", 1, 15)
    for model in ("mlp", "hierarchical", "npmp", "gpt"):
        ranks = [weights(tmp_path / "two" / f"{model}-{number}.pt") for number in range(2)]
        assert distance(*ranks) == 0.0
    first = {model: weights(tmp_path / "one" / model / "model" / "last.ckpt") for model in program.CASES}
    for name in ("one", "two"):
        shutil.copytree(tmp_path / name, tmp_path / f"{name} goes on")
    run(data, tmp_path / "one goes on", 2, 30, "resume")
    program.learn(data, tmp_path / "two goes on", 1, 30, resume=True)
    program.learn(data, tmp_path / "one", 1, 30, resume=True)
    for model in program.CASES:
        last = {
            name: weights(tmp_path / name / model / "model" / "last.ckpt")
            for name in ("one", "one goes on", "two goes on")
        }
        moved = distance(last["one"], first[model])
        assert distance(last["one"], last["one goes on"]) < 1e-3 * moved
        assert distance(last["one"], last["two goes on"]) < 1e-3 * moved


def test_a_process_finds_its_number_in_the_environment(monkeypatch):
    for name in ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    config = DistillConfig(devices=2, num_nodes=3)
    assert (world_size(config), rank(config)) == (6, 0)
    monkeypatch.setenv("NODE_RANK", "2")
    assert rank(config) == 4
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert rank(config) == 5
    monkeypatch.setenv("RANK", "3")
    assert rank(config) == 3
    assert rank(DistillConfig()) == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"devices": 3}, "cannot be divided among 3 processes"),
        ({"precision": "fp16"}, "fp16 needs a GPU"),
        ({"device": "cuda:99"}, "not available"),
    ],
)
def test_what_this_machine_cannot_do_is_named(settings, said):
    with pytest.raises(UsageError, match=said):
        placed(replace(DistillConfig(device="cpu"), **settings))
    assert placed(DistillConfig(device="cpu", devices=-1)).devices == 1


def test_gpus_are_counted_and_checked(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert placed(DistillConfig(devices=-1)).devices == 2
    for settings, said in (
        ({"devices": 4}, "2 GPUs here, not 4"),
        ({"device": "cuda:1", "devices": 2}, "is one GPU"),
        ({"precision": "bf16"}, "does not compute in bf16"),
    ):
        with pytest.raises(UsageError, match=said):
            placed(DistillConfig(**settings))


def test_the_loss_is_compiled_where_it_pays_or_is_asked_for(monkeypatch):
    monkeypatch.setattr(learning.importlib.util, "find_spec", lambda name: name)
    choices = [("auto", "cuda"), ("auto", "cpu"), (True, "cpu"), (False, "cuda")]
    assert [compiles(DistillConfig(compile=wish, device=device)) for wish, device in choices] == [
        True,
        False,
        True,
        False,
    ]
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function: compiled.append(function) or function)
    DistillModule(build_policy(apply_overrides(preset("npmp"), SMALL["npmp"])), DistillConfig(compile=True))
    assert [function.__name__ for function in compiled] == ["loss"]


def test_bf16_learns_nearly_the_same(rollouts, tmp_path):
    from mocapact_cli.core.training.distillation.train import distill

    config = DistillConfig(
        model="mlp-reference",
        max_steps=40,
        batch_size=32,
        n_eval_episodes=0,
        threads=1,
        learning_rate=3e-3,
        device="cpu",
    )
    network, last = apply_overrides(preset("mlp-reference"), SMALL["mlp-reference"]), {}
    for precision in ("32", "bf16"):
        distill(divide(rollouts), replace(config, precision=precision), network, tmp_path / precision)
        last[precision] = weights(tmp_path / precision / "model" / "last.ckpt")
    assert all(value.dtype == torch.float32 for value in last["bf16"].values())
    assert 0.0 < distance(last["32"], last["bf16"]) < 0.1
    assert np.isfinite(distance(last["32"], last["bf16"]))
