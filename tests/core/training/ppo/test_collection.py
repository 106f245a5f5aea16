from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from mocapact_cli.core.training.ppo import collection
from mocapact_cli.core.training.ppo.collection import DeferredValuesPPO

FILLED = ("observations", "actions", "rewards", "episode_starts", "values", "log_probs", "advantages", "returns")


LENIENT = {"termination_error_threshold": 100.0, "train_error_threshold": 100.0}
"""Nothing fails, so episodes reach the snippet's end."""


class Counting(BaseCallback):
    """Counts steps and ends training after some of them; keeps what it was told."""

    def __init__(self, enough: int = 10**9) -> None:
        super().__init__()
        self.enough, self.told = enough, []

    def _on_rollout_start(self) -> None:
        self.told.append("start")

    def _on_rollout_end(self) -> None:
        self.told.append("end")

    def _on_step(self) -> bool:
        self.told.append(len(self.locals["infos"]))
        return self.told.count(8) < self.enough


def collect(model: PPO, way: type[PPO], callback: BaseCallback) -> bool:
    _, told = model._setup_learn(1, callback)
    torch.manual_seed(5)
    return way.collect_rollouts(model, model.env, told, model.rollout_buffer, model.n_steps)


def filled(model: PPO) -> dict[str, Any]:
    return {name: getattr(model.rollout_buffer, name).copy() for name in FILLED}


@pytest.mark.parametrize("settings", [LENIENT, LENIENT | {"privileged_critic": False}, {}], ids=str)
def test_a_full_buffer_is_that_of_stable_baselines(build, settings: dict[str, Any]) -> None:
    buffers = []
    for way in (PPO, DeferredValuesPPO):
        model = build(**settings)
        assert collect(model, way, Counting())
        buffers.append(filled(model))
    theirs, ours = buffers
    assert theirs["episode_starts"][1:].any()
    for name in FILLED:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_episodes_that_are_cut_off_are_worth_what_could_follow(build) -> None:
    cut = build(bootstrap_at_end=True, **LENIENT)
    ended = build(bootstrap_at_end=False, **LENIENT)
    for model in (cut, ended):
        assert collect(model, DeferredValuesPPO, Counting())
    more, less = (model.rollout_buffer.rewards for model in (cut, ended))
    assert 0 < np.count_nonzero(np.abs(more - less) > 1e-6) < more.size / 4


def test_values_do_not_depend_on_how_many_are_computed_at_once(build, monkeypatch: pytest.MonkeyPatch) -> None:
    values = []
    for rows in (8192, 7):
        monkeypatch.setattr(collection, "_ROWS_AT_ONCE", rows)
        model = build()
        collect(model, DeferredValuesPPO, Counting())
        values.append(model.rollout_buffer.values.copy())
    np.testing.assert_allclose(values[1], values[0], rtol=1e-5, atol=1e-6)


def test_a_callback_hears_of_every_step_and_can_end_it(build) -> None:
    model, heard = build(), Counting()
    assert collect(model, DeferredValuesPPO, heard)
    assert heard.told == ["start", *[8] * model.n_steps, "end"]
    model, heard = build(), Counting(enough=3)
    assert not collect(model, DeferredValuesPPO, heard)
    assert heard.told == ["start", 8, 8, 8]
    assert model.num_timesteps == 3 * 8
