"""What a search may vary: which spaces are accepted, and that every draw from one is a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocapact_cli.core.config import apply_overrides
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.training.expert.config import ExpertConfig
from mocapact_cli.core.training.expert.search_space import (
    DEFAULT_SPACE,
    check_space,
    distributions,
    read_space,
    settings_of,
)

BASE = ExpertConfig()
VALUES = st.one_of(
    st.integers(-5, 5),
    st.floats(allow_nan=False),
    st.booleans(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
)
WANTED = st.one_of(VALUES, st.dictionaries(st.sampled_from(["low", "high", "log", "step"]), VALUES))
NAMES = ["gamma", "layers", "n_epochs", "warm_start", "desired_kl", "seed", "gama"]


def draw(space: dict[str, Any], seed: int) -> ExpertConfig:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return apply_overrides(BASE, settings_of(study.ask(distributions(space, optuna)).params))


@pytest.mark.parametrize("seed", range(20))
def test_every_draw_from_the_space_of_its_own_is_a_configuration(seed: int) -> None:
    check_space(DEFAULT_SPACE, BASE)
    config = draw(DEFAULT_SPACE, seed)
    assert 0.05 <= (config.desired_kl or 0.0) <= 0.4
    assert config.layers in {(256, 256), (512, 512)}


@given(space=st.dictionaries(st.sampled_from(NAMES), WANTED, min_size=1, max_size=2), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=150)
def test_a_space_is_refused_or_can_be_drawn_from(space: dict[str, Any], seed: int) -> None:
    try:
        check_space(space, BASE)
    except UsageError:
        return
    assert isinstance(draw(space, seed), ExpertConfig)


def test_whole_numbers_stay_whole_and_lists_become_tuples(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text('n_epochs = { low = 1, high = 9 }\nlayers = [[8], [16, 16]]\nactivation = ["ELU", "Tanh"]\n')
    drawn = [draw(read_space(file, BASE), seed) for seed in range(12)]
    assert {config.layers for config in drawn} == {(8,), (16, 16)}
    assert all(isinstance(config.n_epochs, int) for config in drawn)
    assert {config.activation for config in drawn} == {"ELU", "Tanh"}


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({}, "empty"),
        ({"gama": [1.0]}, "gama is not a setting"),
        ({"seed": [1, 2]}, "seed cannot be varied"),
        ({"n_rsi_episodes": [1, 2]}, "cannot be varied"),
        ({"gamma": [0.9, "high"]}, "gamma must be a number"),
        ({"gamma": {"low": 1.0, "high": 0.5}}, "gamma is to be varied over"),
        ({"desired_kl": {"low": 0.0, "high": 0.5, "log": True}}, "desired_kl is to be varied over"),
        ({"gamma": {"low": 0.5}}, "gamma is to be varied over"),
        ({"gamma": []}, "gamma is to be varied over"),
        ({"learning_rate": [-1.0]}, "learning_rate is -1"),
    ],
)
def test_what_cannot_be_varied_is_named(space: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_space(space, BASE)
