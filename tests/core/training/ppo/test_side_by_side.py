from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import ConvertCallback

from mocapact_cli.core.training.ppo import side_by_side
from mocapact_cli.core.training.ppo.side_by_side import SideBySidePPO


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def learned(build: Any, way: type[PPO], threads: int, **changes: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights after one update and what was told of it."""
    model = build(privileged_critic=False)
    for name, value in changes.items():
        setattr(model, name, value)
    _, told = model._setup_learn(1, ConvertCallback(lambda *_: True))
    np.random.seed(0)
    torch.manual_seed(0)
    model.collect_rollouts(model.env, told, model.rollout_buffer, model.n_steps)
    torch.set_num_threads(threads)
    way.train(model)
    assert torch.get_num_threads() == threads
    return dict(model.policy.state_dict()), dict(model.logger.name_to_value)


@pytest.mark.parametrize("changes", [{}, {"target_kl": 1e-3}, {"max_grad_norm": 1e-3}])
def test_an_update_is_that_of_stable_baselines(build, changes: dict[str, Any]) -> None:
    (theirs, told_theirs), (ours, told_ours) = (
        learned(build, way, threads, **changes) for way, threads in ((PPO, 1), (SideBySidePPO, 2))
    )
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-5, atol=1e-6)
    for name, value in told_ours.items():
        assert value == pytest.approx(told_theirs[name], rel=1e-3, abs=1e-6), name
    assert "train/approx_kl" in told_ours


def test_an_update_that_goes_too_far_ends(build) -> None:
    _, whole = learned(build, SideBySidePPO, 2)
    _, cut = learned(build, SideBySidePPO, 2, target_kl=1e-6)
    assert whole["train/n_updates"] == 2
    assert cut["train/n_updates"] == 1


def test_updates_are_equal_to_the_last_bit(build) -> None:
    first, second = (learned(build, SideBySidePPO, 2)[0] for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_threads_are_shared(build, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    usual = SideBySidePPO._judge

    def judge(self: SideBySidePPO, samples: Any) -> torch.Tensor:
        seen.add(torch.get_num_threads())
        return usual(self, samples)

    monkeypatch.setattr(SideBySidePPO, "_judge", judge)
    learned(build, SideBySidePPO, 2)
    assert seen == {1}
    seen.clear()
    learned(build, SideBySidePPO, 1)
    assert not seen


def test_a_failure_of_the_critic_reaches_the_caller(build, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(*_: Any) -> torch.Tensor:
        raise ValueError("nan")

    monkeypatch.setattr(side_by_side.SideBySidePPO, "_judge", judge)
    with pytest.raises(ValueError, match="nan"):
        learned(build, SideBySidePPO, 2)
    assert torch.get_num_threads() == 2
