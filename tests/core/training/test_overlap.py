from __future__ import annotations

import json
import threading
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

from mocapact_cli.core.training.expert.monitor import ExpertMonitor
from mocapact_cli.core.training.overlap import OverlappedPPO

LENGTH = 128


class Silent(BaseCallback):
    """Hears everything and says nothing."""

    def _on_step(self) -> bool:
        return True


def networks(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


def test_without_anything_in_flight_it_is_stable_baselines(build) -> None:
    usual, ours = build(overlap=False), build(overlap=True)
    assert not isinstance(usual, OverlappedPPO)
    ours.pause_due = lambda: True
    for model in (usual, ours):
        np.random.seed(0)
        torch.manual_seed(0)
        model.learn(4 * LENGTH)
    assert usual.num_timesteps == ours.num_timesteps == 4 * LENGTH
    for name, value in networks(usual).items():
        torch.testing.assert_close(networks(ours)[name], value, rtol=1e-4, atol=1e-6)


def test_the_policy_that_acts_is_always_one_update_old(build, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(overlap=True)
    actor, before, learned = deepcopy(model.policy), [networks(model)], []
    usual = OverlappedPPO.train

    def train(self: OverlappedPPO) -> None:
        buffer = self.rollout_buffer
        learned.append(
            [torch.as_tensor(getattr(buffer, name)).clone() for name in ("observations", "actions", "log_probs")]
        )
        usual(self)
        before.append(networks(self))

    monkeypatch.setattr(OverlappedPPO, "train", train)
    model.learn(5 * LENGTH)
    assert len(learned) == 5
    for update, (observations, actions, log_probs) in enumerate(learned):
        # The first two updates learn from what the policy of the beginning did.
        actor.load_state_dict(before[max(0, update - 1)])
        _, expected, _ = actor.evaluate_actions(observations.flatten(0, 1), actions.flatten(0, 1))
        torch.testing.assert_close(expected.detach().reshape(log_probs.shape), log_probs, rtol=1e-3, atol=1e-3)


def test_steps_are_taken_while_it_learns(build, monkeypatch: pytest.MonkeyPatch) -> None:
    model, stepped, seen = build(overlap=True), threading.Event(), []
    usual_step, usual_train = type(model.env).step, OverlappedPPO.train

    def step(self: Any, actions: Any) -> Any:
        stepped.set()
        return usual_step(self, actions)

    def train(self: OverlappedPPO) -> None:
        stepped.clear()
        # Only the other thread can set this; the last update has nothing beside it.
        seen.append(stepped.wait(5.0) if self.num_timesteps < 3 * LENGTH else None)
        usual_train(self)

    monkeypatch.setattr(type(model.env), "step", step)
    monkeypatch.setattr(OverlappedPPO, "train", train)
    model.learn(3 * LENGTH)
    assert seen == [True, True, None]


def test_a_callback_that_has_enough_ends_it(build) -> None:
    class Enough(Silent):
        def _on_step(self) -> bool:
            return self.num_timesteps < 2 * LENGTH + 16

    model = build(overlap=True)
    model.learn(100 * LENGTH, callback=Enough())
    assert model.num_timesteps == 2 * LENGTH + 16
    assert model._n_updates == 2 * model.n_epochs


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_an_error_while_learning_stops_the_steps(
    build, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def train(self: OverlappedPPO) -> None:
        raise error

    monkeypatch.setattr(OverlappedPPO, "train", train)
    model = build(overlap=True)
    with pytest.raises(error):
        model.learn(100 * LENGTH)
    assert model.num_timesteps <= 2 * LENGTH
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("steps")]


@pytest.mark.parametrize("teacher", [False, True])
def test_overlapped_runs_of_one_seed_are_equal_and_go_on_after_a_crash(
    trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, teacher: bool
) -> None:
    usual = ExpertMonitor._on_step

    def crash(self: ExpertMonitor) -> bool:
        if self.num_timesteps > 450:
            raise MemoryError
        return usual(self)

    asked = {"overlap": True, "threads": 2, "total_timesteps": 640, "teacher": teacher}
    for name in ("one", "two"):
        trainer(tmp_path / name, **asked)
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(ExpertMonitor, "_on_step", crash)
        trainer(tmp_path / "three", **asked)
    trainer(tmp_path / "three", resume=True, **asked)
    states = [
        torch.load(tmp_path / name / "checkpoints/last.pt", weights_only=True) for name in ("one", "two", "three")
    ]
    for other in states[1:]:
        assert other["progression"]["timesteps"] == states[0]["progression"]["timesteps"] >= 640
        assert other["progression"]["missing"] == states[0]["progression"]["missing"]
        for name, value in states[0]["policy"].items():
            assert torch.equal(other["policy"][name], value), name


def test_where_steps_overlap_is_decided_once(trainer, tmp_path: Path) -> None:
    trainer(tmp_path / "run", overlap=None, total_timesteps=128)
    assert json.loads((tmp_path / "run/config.json").read_text())["training"]["overlap"] is torch.cuda.is_available()
