from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mocapact_cli.core.config import from_dict, to_dict
from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.training.expert.config import PRESETS, ExpertConfig, completed, preset, resolve

PAPER = {
    "total_timesteps": 150_000_000,
    "steps_per_update": 8192,
    "batch_size": 512,
    "n_epochs": 10,
    "clip_range": 0.25,
    "gae_lambda": 0.95,
    "gamma": 0.95,
    "learning_rate": 1e-5,
    "lr_decay": 1.73,
    "max_grad_norm": 1.0,
    "desired_kl": None,
    "layers": (1024, 1024, 1024),
    "activation": "Tanh",
    "std": 0.1,
    "min_steps": 10,
    "warm_start": "none",
    "first_step_share": 0.0,
    "start_floor": None,
    "train_error_threshold": 0.3,
    "bootstrap_at_end": False,
    "eval_every": 1_000_000,
    "eval_min_steps": 30,
    "n_rsi_episodes": 1000,
    "rsi_act_noise": 0.1,
    "n_start_episodes": 100,
    "start_act_noise": 0.01,
    "stop_norm_length": 0.98,
    "stop_patience": 10,
    "stop_min_gain": 0.01,
    "termination_error_threshold": 0.3,
}


@pytest.mark.parametrize(("name", "value"), PAPER.items())
def test_the_paper_preset_is_the_published_recipe(name: str, value: object) -> None:
    assert getattr(preset("paper"), name) == value


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_knows_its_name_and_survives_its_record(name: str) -> None:
    config = preset(name)
    assert config.preset == name
    assert from_dict(ExpertConfig, to_dict(config)) == config


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="'papr'") as caught:
        preset("papr")
    assert "paper" in caught.value.hint


def test_options_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("gamma = 0.9\nn_epochs = 3\nlayers = [64, 32]\n")
    config = resolve("paper", file, n_epochs=7, batch_size=None)
    assert (config.gamma, config.n_epochs, config.batch_size, config.layers) == (0.9, 7, 512, (64, 32))


def test_a_file_may_name_its_preset(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('preset = "paper"\nseed = 3\n')
    config = resolve(None, file)
    assert (config.preset, config.activation, config.seed) == ("paper", "Tanh", 3)
    config = resolve("fast", file)
    assert (config.preset, config.activation, config.seed) == ("fast", "ELU", 3)


def test_without_a_word_the_preset_is_fast_and_the_device_chosen_by_the_machine(tmp_path: Path) -> None:
    config = resolve(None, None)
    assert (config.preset, config.device) == ("fast", "auto")
    file = tmp_path / "settings.toml"
    file.write_text('device = "cpu"\n')
    assert resolve(None, file).device == "cpu"
    assert resolve(None, file, device="cuda").device == "cuda"


def test_a_warm_start_may_be_a_folder(tmp_path: Path) -> None:
    config = resolve(None, None, warm_start=str(tmp_path))
    assert config.warm_start == tmp_path
    assert from_dict(ExpertConfig, to_dict(config)) == config
    assert resolve(None, None, warm_start="none").warm_start == "none"


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("learning_rat = 1e-3", UsageError, "learning_rat"),
        ("gamma = 'high'", UsageError, "gamma"),
        ("warm_start = 3", UsageError, "warm_start"),
        ("gamma = ", InvalidInputError, "settings.toml"),
        ('preset = "slow"', UsageError, "slow"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, error: type[Exception], says: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(error, match=says):
        resolve(None, file)


def test_an_unknown_setting_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("fast", None, n_epoch=3)
    assert "n_epochs" in caught.value.hint


def test_environments_must_divide_the_steps() -> None:
    with pytest.raises(UsageError, match="multiple"):
        resolve("fast", None, num_envs=100)
    assert resolve("fast", None, num_envs=32).num_envs == 32


def test_a_file_and_options_are_judged_together(tmp_path):
    file = tmp_path / "small.toml"
    file.write_text("steps_per_update = 64\n")
    assert resolve("fast", file, num_envs=4).steps_per_update == 64


def test_the_wanted_divergence_halves_with_the_steps() -> None:
    config = ExpertConfig(desired_kl=0.2, kl_half_life=1000, final_kl=0.03)
    assert [config.desired_kl_after(steps) for steps in (0, 1000, 2000)] == [0.2, 0.1, 0.05]
    assert config.desired_kl_after(10**9) == 0.03
    assert replace(config, desired_kl=0.01).desired_kl_after(10**9) == 0.01
    assert replace(config, kl_half_life=None).desired_kl_after(10**9) == 0.2
    assert replace(config, desired_kl=None).desired_kl_after(1) is None
    assert preset("paper").desired_kl_after(10**6) is None


@pytest.mark.parametrize("name", ["num_envs", "std", "critic_learning_rate", "kl_half_life", "desired_kl"])
@pytest.mark.parametrize("value", [0, -1])
def test_what_must_be_above_zero_is_said(name: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"^{name} is {value}") as caught:
        ExpertConfig(**{name: value})
    assert "above zero" in caught.value.hint


def test_a_teacher_needs_a_critic_that_sees_as_much() -> None:
    with pytest.raises(UsageError, match="needs privileged_critic") as caught:
        resolve("fast", None, privileged_critic=False)
    assert "teacher = false" in caught.value.hint
    assert not resolve("fast", None, privileged_critic=False, teacher=False).teacher


def test_records_from_before_there_were_teachers_have_none() -> None:
    settings = to_dict(preset("paper"))
    del settings["teacher"], settings["balance"]
    assert from_dict(ExpertConfig, completed(settings)) == preset("paper")
    assert completed(to_dict(preset("fast"))) == to_dict(preset("fast"))
