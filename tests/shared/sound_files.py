"""One small sound file of every kind, for tests that change it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hostile_files import FILES, without

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.datasets.metrics import write_metrics
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
from mocapact_cli.core.interop.expert_folder import NORMALIZER_FILE, RSI_MODEL, write_clip_info, write_model
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.interop.policy_files import to_safetensors
from mocapact_cli.core.interop.sb3_zip import EXTRA_MEMBER
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy

SEEN = ("walker/body_height", "walker/world_zaxis")
_PLAIN = ("snippets", "lengths", "returns", "values", "advantages")


def write_sound(folder: Path) -> Path:
    """Write them into a folder, where `hostile_files.FILES` says; return the folder."""
    expert = ExpertPolicy.fresh(SEEN, 4, layers=(8,))
    write_model(folder / "expert" / RSI_MODEL, expert)
    write_clip_info(folder / "expert", Snippet("demo_reach", 0, 50), SEEN)
    # As published: no record of mocapact's own, so that the pickled statistics are read.
    model = folder / FILES["expert"]
    model.write_bytes(without(model.read_bytes(), EXTRA_MEMBER))
    (model.parent / NORMALIZER_FILE).unlink()
    write_checkpoint(folder / "policy.ckpt", build_policy(MlpConfig(ref_steps=(1,), observables=SEEN, layers=(8,))))
    to_safetensors(load_policy(folder / "policy.ckpt"), folder / "policy.safetensors")
    _write_task(folder / FILES["low_level"])
    (folder / "dataset").mkdir()
    _write_rollouts(folder / "dataset/walk.hdf5")
    write_metrics(folder / "dataset")
    metrics = folder / FILES["metrics"]
    metrics.write_bytes(without(metrics.read_bytes(), *(f"plain_{name}.npy" for name in _PLAIN)))
    write_clips(folder / "clips.h5", [demo("demo_reach")])
    return folder


def _write_rollouts(path: Path) -> None:
    layout = RolloutLayout({"walker/body_height": 1, "walker/world_zaxis": 3}, (1,), 1, 1, 5)
    rng = np.random.default_rng(0)
    with RolloutWriter(path, layout, ["walk-0-9"]) as writer:
        for slot in range(layout.episodes):
            wide = [rng.random((9 + extra, size)) for extra, size in ((1, 4), (0, 5), (0, 5))]
            writer.add("walk-0-9", slot, EpisodeRecord(*wide, *rng.random((3, 9)), False, 1.0, 0.5, 1.0))


def _write_task(low_level: Path) -> None:
    config = NpmpConfig(
        ref_steps=(1,), encoder_observables=SEEN, decoder_observables=SEEN, embed_size=4, encoder_layers=(8,),
        decoder_layers=(8,),
    )  # fmt: skip
    write_checkpoint(low_level, build_policy(config))
    high_level = ExpertPolicy.fresh((*SEEN, "walker/target"), 7, layers=(8,), act_size=4)
    write_model(low_level.parent, high_level)
