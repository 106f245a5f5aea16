from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.training.expert.model import build_env, build_model
from mocapact_cli.core.training.expert.progression import ExpertProgression
from mocapact_cli.core.training.ppo.checkpoint import FILE, load_checkpoint, save_checkpoint


@pytest.fixture
def build(trainer):
    """Makes a model and its environment; `learned` ones have made an update."""
    opened = []

    def make(*, learned: bool = False, **changes: object):
        config = replace(trainer.config, **changes)
        env = build_env(trainer.batch(config), config)
        opened.append(env)
        model = build_model(env, config, lambda left: 0.01)
        if learned:
            model.learn(config.steps_per_update)
        return model, env

    yield make
    for env in opened:
        env.close()


def test_a_checkpoint_restores_everything(build, tmp_path: Path) -> None:
    model, env = build(learned=True)
    saved = ExpertProgression(
        timesteps=128, next_eval=256, seconds=7.5, step_size=2e-4, kl=0.03, stale=2, best_rsi=0.5, missing=[0.1, 0.7]
    )
    save_checkpoint(tmp_path, model, env, saved)
    other, other_env = build(seed=5)
    assert load_checkpoint(tmp_path, other, other_env, ExpertProgression) == saved
    assert other.num_timesteps == 128
    for mine, theirs in zip(model.policy.parameters(), other.policy.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    for name in ("optimizer", "critic_optimizer"):
        moments = [getattr(of.policy, name).state_dict()["state"][1]["exp_avg"] for of in (model, other)]
        assert torch.equal(*moments)
        assert moments[0].any()
    np.testing.assert_array_equal(env.obs_rms.mean, other_env.obs_rms.mean)
    assert (env.ret_rms.var, env.ret_rms.count) == (other_env.ret_rms.var, other_env.ret_rms.count)


def test_there_must_be_a_checkpoint(build, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no checkpoint"):
        load_checkpoint(tmp_path, *build(), ExpertProgression)


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "pickle", "lacking"])
def test_a_damaged_checkpoint_is_said(build, tmp_path: Path, damage: str) -> None:
    model, env = build()
    save_checkpoint(tmp_path, model, env, ExpertProgression())
    path = tmp_path / FILE
    content = path.read_bytes()
    if damage == "pickle":
        torch.save({"policy": Path("code")}, path)
    elif damage == "lacking":
        torch.save({"policy": model.policy.state_dict()}, path)
    else:
        path.write_bytes({"empty": b"", "cut": content[:1000], "noise": b"\x00" * 500}[damage])
    with pytest.raises(InvalidInputError, match="cannot be resumed") as caught:
        load_checkpoint(tmp_path, model, env, ExpertProgression)
    assert "--force" in caught.value.hint


def test_other_networks_are_refused(build, tmp_path: Path) -> None:
    save_checkpoint(tmp_path, *build(), ExpertProgression())
    with pytest.raises(InvalidInputError, match="cannot be resumed"):
        load_checkpoint(tmp_path, *build(layers=(32,)), ExpertProgression)


def test_a_full_disk_keeps_the_checkpoint_before(build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, env = build()
    save_checkpoint(tmp_path, model, env, ExpertProgression(timesteps=128))

    def full(self: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=FILE) as caught:
        save_checkpoint(tmp_path, model, env, ExpertProgression(timesteps=256))
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert load_checkpoint(tmp_path, model, env, ExpertProgression).timesteps == 128
