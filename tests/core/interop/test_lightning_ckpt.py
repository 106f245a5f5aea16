from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.lightning_ckpt import load_checkpoint, write_checkpoint
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.interop.policy_places import checkpoint_in
from mocapact_cli.core.policies.distilled import DistilledPolicy
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy, describe

BODY = ("walker/world_zaxis", "walker/sensors_gyro")


@pytest.fixture
def multi_clip() -> DistilledPolicy:
    config = NpmpConfig(
        ref_steps=(1, 2),
        encoder_observables=(*BODY, "walker/body_height"),
        decoder_observables=BODY,
        embed_size=4,
        encoder_layers=(8,),
        decoder_layers=(8,),
    )
    policy = build_policy(config, seed=0)
    policy.set_statistics(np.arange(7.0), np.arange(7.0) + 1.0)
    return policy


def acts_as(policy: Any, other: DistilledPolicy) -> bool:
    seen = np.random.default_rng(0).standard_normal((5, other.obs_size)).astype(np.float32)
    return bool(np.array_equal(policy.predict(seen)[0], other.predict(seen)[0])) and policy.config == other.config


@pytest.mark.parametrize("place", ["last.ckpt", "model/last.ckpt", "checkpoints/last.ckpt", "model/best.ckpt"])
def test_a_checkpoint_is_opened_by_its_name_and_by_its_folder(
    tmp_path: Path, multi_clip: DistilledPolicy, place: str
) -> None:
    path = write_checkpoint(tmp_path / place, multi_clip, {"global_step": 7})
    assert acts_as(load_policy(path), multi_clip)
    assert acts_as(load_policy(tmp_path), multi_clip)
    assert checkpoint_in(tmp_path) == path


def test_the_best_of_a_folder_is_opened_before_the_last(tmp_path: Path, multi_clip: DistilledPolicy) -> None:
    best = write_checkpoint(tmp_path / "model/best.ckpt", multi_clip)
    write_checkpoint(tmp_path / "model/last.ckpt", multi_clip)
    assert checkpoint_in(tmp_path) == best


def test_an_onnx_file_is_not_opened_as_a_policy(tmp_path: Path) -> None:
    (tmp_path / "policy.onnx").touch()
    with pytest.raises(UsageError, match="onnxruntime"):
        load_policy(tmp_path / "policy.onnx")


def test_our_checkpoints_hold_nothing_but_plain_values(tmp_path: Path, multi_clip: DistilledPolicy) -> None:
    path = write_checkpoint(tmp_path / "a.ckpt", multi_clip, {"global_step": 7})
    content = torch.load(path, weights_only=True)
    assert content["global_step"] == 7
    assert content["hyper_parameters"] == describe(multi_clip)


def test_a_training_modules_checkpoint_is_opened(tmp_path: Path, multi_clip: DistilledPolicy) -> None:
    import pytorch_lightning as lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.policy, self.other = torch.compile(multi_clip), torch.nn.Linear(2, 2)

        def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            checkpoint["hyper_parameters"] = describe(multi_clip)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return self.other(torch.ones(2)).sum()

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 3)]

    trainer = lightning.Trainer(
        max_steps=2, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Module(), torch.utils.data.DataLoader(torch.zeros(4)))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    assert acts_as(load_policy(tmp_path / "a.ckpt"), multi_clip)


def test_what_is_no_policy_is_refused(tmp_path: Path, multi_clip: DistilledPolicy) -> None:
    path = tmp_path / "a.ckpt"
    with pytest.raises(NotFoundError):
        load_policy(path)
    path.write_bytes(b"")
    with pytest.raises(InvalidInputError, match=r"a\.ckpt"):
        load_policy(path)
    for content in ({}, {"state_dict": {}}, {"state_dict": {}, "hyper_parameters": {"learning_rate": 1.0}}):
        torch.save(content, path)
        with pytest.raises(InvalidInputError, match=r"a\.ckpt"):
            load_policy(path)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path, multi_clip: DistilledPolicy) -> None:
    path = write_checkpoint(tmp_path / "a.ckpt", multi_clip)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InvalidInputError, match=r"a\.ckpt is damaged"):
        load_policy(path)


class _Runs:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("place", ["hyper_parameters", "callbacks", "state_dict"])
def test_pickled_code_is_never_run(tmp_path: Path, multi_clip: DistilledPolicy, place: str) -> None:
    path = write_checkpoint(tmp_path / "evil.ckpt", multi_clip)
    content = torch.load(path, weights_only=True)
    content[place] = {"x": _Runs(tmp_path / "mark")}
    torch.save(content, path)
    with pytest.raises(InvalidInputError, match=r"evil\.ckpt is refused"):
        load_policy(path)
    assert not (tmp_path / "mark").exists()


def test_forged_statistics_and_sizes_are_refused(tmp_path: Path, multi_clip: DistilledPolicy) -> None:
    path = write_checkpoint(tmp_path / "a.ckpt", multi_clip)
    content = torch.load(path, weights_only=True)
    content["hyper_parameters"]["config"]["encoder_layers"] = [65536] * 100
    torch.save(content, path)
    with pytest.raises(InvalidInputError, match="does not hold the parameters"):
        load_checkpoint(path)
