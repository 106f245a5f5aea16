"""That training works: what is learned is better than what was there before."""

from __future__ import annotations

from pathlib import Path

import pytest

from mocapact_cli.core.training.expert import warm_start


@pytest.mark.slow
def test_a_policy_without_a_warm_start_learns_to_stay_up_longer(trainer, tmp_path: Path) -> None:
    result = trainer(
        tmp_path / "run",
        total_timesteps=61_440,
        num_envs=32,
        threads=2,
        steps_per_update=2048,
        batch_size=256,
        n_epochs=5,
        layers=(64, 64),
        activation="Tanh",
        learning_rate=3e-4,
        desired_kl=None,
        clip_range=0.2,
        train_error_threshold=0.3,
        gamma=0.8,
        eval_every=100_000,
        n_rsi_episodes=24,
    )
    fresh, learned = result.evaluations
    assert learned["rsi_norm_return"] > 1.3 * fresh["rsi_norm_return"]
    assert learned["rsi_norm_length"] > fresh["rsi_norm_length"] + 0.08


def test_the_warm_start_beats_none(trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_start, "FIT_STEPS", 200)
    monkeypatch.setattr(warm_start, "STEPS_PER_ENV", 60)
    first = {
        kind: trainer(
            tmp_path / kind, warm_start=kind, total_timesteps=1, num_envs=16, layers=(64,), n_rsi_episodes=12
        ).evaluations[0]
        for kind in ("none", "pd")
    }
    assert first["pd"]["rsi_norm_return"] > 2.0 * first["none"]["rsi_norm_return"]
    assert first["pd"]["rsi_norm_length"] > first["none"]["rsi_norm_length"]
