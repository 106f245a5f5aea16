from __future__ import annotations

import numpy as np
import pytest
import torch

from mocapact_cli.core.bench import sides
from mocapact_cli.core.bench import train as bench
from mocapact_cli.core.bench.composer_gym import ExpertFeatures, tracking_gym
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout
from mocapact_cli.core.tasks.tracking import TrackingConfig
from mocapact_cli.core.training.expert.config import preset


class Scripted:
    """A side whose turns are known."""

    def __init__(self, *turns: tuple[float, float]) -> None:
        self._turns = iter(turns)

    def turn(self) -> tuple[float, float]:
        return next(self._turns)


def test_a_sides_speed_is_that_of_collecting_and_then_learning() -> None:
    assert sides.take_turn("fast_", Scripted((300.0, 600.0))) == {
        "fast_steps_per_s": pytest.approx(200.0),
        "fast_collected_per_s": 300.0,
        "fast_learned_per_s": 600.0,
    }


def test_ratios_are_medians_of_rounds_without_the_first() -> None:
    played = {
        "original_": Scripted((1.0, 1.0), (2.0, 2.0), (4.0, 4.0), (4.0, 4.0)),
        "": Scripted((9e9, 9e9), (20.0, 20.0), (20.0, 20.0), (4.0, 4.0)),
        "fast_": Scripted((9e9, 9e9), (40.0, 40.0), (40.0, 40.0), (40.0, 40.0)),
    }
    limit, sides.TIME_LIMIT = sides.TIME_LIMIT, 0.0
    try:
        summary = sides.summarize_rounds(sides.measure_rounds(played, NullProgress()))
    finally:
        sides.TIME_LIMIT = limit
    assert summary["over_original"] == pytest.approx(5.0)
    assert summary["fast_over_original"] == pytest.approx(10.0)
    assert summary["original_steps_per_s"] == pytest.approx(2.0)


def test_without_dm_control_our_own_sides_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RunError("no dm_control")

    monkeypatch.setattr(bench, "composer_workers", refuse)
    monkeypatch.setattr(bench, "_our_side", lambda name, threads: Closable())
    measured = bench.measure_expert_training(1)
    assert measured["original_problem"] == "no dm_control"
    assert measured["over_original"] is None
    assert measured["steps_per_s"] == pytest.approx(50.0)


class Closable:
    def turn(self) -> tuple[float, float]:
        return 100.0, 100.0

    def close(self) -> None:
        """Nothing is open."""


def test_both_sides_have_the_papers_network_and_settings() -> None:
    paper, side = preset("paper"), bench._our_side("paper", 1)
    stock = bench._stock_ppo(side.learner.env, paper, 16)
    try:
        for model in (side.learner, stock):
            assert [tuple(values.shape) for values in model.policy.parameters()] == [
                tuple(values.shape) for values in stock.policy.parameters()
            ]
            settings = (model.batch_size, model.gamma, model.gae_lambda, model.max_grad_norm, model.clip_range(1.0))
            assert settings == (512, 0.95, 0.95, 1.0, 0.25)
        assert side.epochs == paper.n_epochs == 10
    finally:
        side.close()


def test_a_side_collects_and_learns() -> None:
    config = preset("fast")
    side = bench._our_side("fast", 1)
    before = side.learner.policy.action_net.weight.detach().clone()
    collected, learned = side.turn()
    side.close()
    assert collected > 0.0
    assert learned > 0.0
    assert side.learner.num_timesteps == config.steps_per_update
    assert not before.equal(side.learner.policy.action_net.weight)


@pytest.mark.timeout(120)
def test_dm_controls_environment_shows_what_an_expert_sees() -> None:
    environment = tracking_gym(bench.CLIP, TrackingConfig(), seed=0)
    observation, _ = environment.reset()
    assert len(observation) == 24
    assert environment.observation_space.contains(observation)
    features = ExpertFeatures(environment.observation_space)
    rows = {name: torch.as_tensor(values)[None] for name, values in observation.items()}
    assert features(rows).shape == (1, ObservableLayout(TIME_INDEX, (0,)).size)
    np.testing.assert_array_equal(features(rows)[0, :56], observation[TIME_INDEX[0]])
    for _ in range(200):
        observation, reward, terminated, truncated, _ = environment.step(environment.action_space.sample())
        assert -1.0 < reward <= 1.5
        if terminated:
            break
    assert terminated
    assert not truncated
