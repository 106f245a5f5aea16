"""Things to publish."""

from __future__ import annotations

import json

import pytest

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout


@pytest.fixture
def make_expert():
    """Return a function that writes an expert and its run's leftovers into a folder."""

    def make(root, snippet="CMU_016_22-0-82", seed=0):
        policy = ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(8,))
        write_model(root / RSI_MODEL, policy)
        mocap = ["/home/somebody/secret project/walk.h5"]
        write_clip_info(root, Snippet.parse(snippet), TIME_INDEX, ref_steps=[0], mocap=mocap)
        (root / "config.json").write_text(json.dumps({"kind": "expert", "training": {"seed": seed, "layers": [8]}}))
        versions = {"python": "3.11.7", "packages": {"mujoco": "3.17.0", "ray": None}, "host": "machine-of-somebody"}
        (root / "versions.json").write_text(json.dumps(versions))
        for left in ("checkpoints/last.pt", "tensorboard/events", "wandb/run", "wandb.json", ".partial", "notes.txt"):
            (root / left).parent.mkdir(exist_ok=True)
            (root / left).write_text("mine")
        (root / "curve.png").write_bytes(b"\x89PNG")
        return root

    return make


@pytest.fixture
def make_policy():
    """Return a function that writes the run of a policy for many clips."""

    def make(root):
        policy = build_policy(NpmpConfig(embed_size=4, encoder_layers=(8,), decoder_layers=(8,)), seed=0)
        for name in ("model/last.ckpt", "model/best.ckpt", "eval/train_rsi/best_model.ckpt"):
            write_checkpoint(root / name, policy)
        record = {"training": {"model": "npmp", "seed": 1}, "snippets": ["CMU_016_22-0-82"], "mocap": ["/data/x.h5"]}
        (root / "config.json").write_text(json.dumps(record))
        best = {"step": 20, "train_rsi_norm_return": 0.625, "val_loss": 1.25}
        rows = [{"step": 10, "val_loss": 1.5}, best, {"step": 30}]
        (root / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"cut')
        return root

    return make
