"""Policies for tasks: published folders against the original's numbers, ours written and read, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.interop.policy_places import LOW_LEVEL_FILE
from mocapact_cli.core.interop.transfer_folder import (
    copy_low_level,
    find_transfer_model,
    load_transfer,
    open_low_level,
    write_transfer_model,
)
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.low_level import LowLevelPolicy
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.transfer import TransferPolicy
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.sim.observables import ObservableLayout
from mocapact_cli.core.tasks.go_to_target import GoToTarget

NAMES = ("go_to_target", "go_to_target_no_low_level")
OWN = GoToTarget.own_observables
SIZE = ObservableLayout(GoToTarget.observables, (0,), OWN).size


@pytest.fixture(scope="module")
def published(test_data: Path) -> Path:
    return test_data / "published"


@pytest.fixture(scope="module")
def low_level() -> LowLevelPolicy:
    config = NpmpConfig(embed_size=5, encoder_layers=(8,), decoder_layers=(8,))
    return LowLevelPolicy(build_policy(config, seed=0))


def controller(actions: int) -> ExpertPolicy:
    return ExpertPolicy.fresh(GoToTarget.observables, SIZE, layers=(8,), act_size=actions, std=0.7)


def written(folder: Path, low: LowLevelPolicy | None) -> Path:
    model = folder / "eval" / "model"
    if low is not None:
        copy_low_level(Path("nowhere"), low, model)
    record = {"task": "go-to-target", "settings": {"max_steps": 12}, "low_level": low is not None, "mocap": []}
    acting = controller(56 if low is None else low.embed_size)
    write_transfer_model(model, acting, record, {"gamma": 0.9}, bound=3.0 if low else 1.0)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_published_policy_acts_as_the_original(published: Path, name: str) -> None:
    loaded = load_transfer(published / "transfer" / name)
    reference = np.load(published / "reference" / f"transfer_{name}.npz")
    seen = {key.removeprefix("obs/"): reference[key] for key in reference if key.startswith("obs/")}
    policy = loaded.policy
    assert (loaded.task, loaded.settings) == ("go-to-target", {"max_steps": 100})
    assert policy.observables == tuple(map(str, reference["observable_keys"]))
    np.testing.assert_allclose(policy.high_level(seen), reference["high_level_action"], atol=1e-5)
    np.testing.assert_allclose(policy.values(seen), reference["value"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(policy.controller.std, np.exp(reference["log_std"]), rtol=1e-6)
    joints, _ = policy.predict(seen)
    if name == "go_to_target":
        assert policy.decoder.bound == reference["action_space_high"][0] == 3.0
        np.testing.assert_allclose(joints, reference["action"], atol=1e-5)
    else:
        np.testing.assert_allclose(joints, np.clip(reference["high_level_action"], -1.0, 1.0), atol=1e-5)


@pytest.mark.parametrize("where", ["", "0", "0/eval", "0/eval/model"])
def test_load_policy_opens_it_from_its_model_or_above(published: Path, where: str) -> None:
    policy = load_policy(published / "transfer" / "go_to_target" / where)
    assert isinstance(policy, TransferPolicy)
    assert policy.predict(np.zeros(policy.obs_size))[0].shape == (56,)


def test_embeddings_beyond_the_limit_are_clipped(low_level: LowLevelPolicy) -> None:
    policy = TransferPolicy(controller(5), low_level, "go-to-target", own=OWN)
    rows = np.random.default_rng(0).standard_normal((4, policy.obs_size)).astype(np.float32)
    at, beyond = (policy.decoder.decode(rows, np.full((4, 5), value)) for value in (3.0, 30.0))
    np.testing.assert_array_equal(at, beyond)
    assert not np.allclose(at, policy.decoder.decode(rows, np.full((4, 5), 2.0)))


def test_the_low_level_policy_may_see_what_the_task_does_not_show(low_level: LowLevelPolicy) -> None:
    config = NpmpConfig(
        embed_size=5, encoder_layers=(8,), decoder_layers=(8,),
        decoder_observables=("walker/joints_pos", "walker/head_height"),
    )  # fmt: skip
    policy = TransferPolicy(controller(5), LowLevelPolicy(build_policy(config, seed=0)), "go-to-target", own=OWN)
    assert policy.observables == (*GoToTarget.observables, "walker/head_height")
    assert policy.obs_size == SIZE + 1
    rows = np.random.default_rng(0).standard_normal((2, SIZE + 1)).astype(np.float32)
    other = rows.copy()
    other[:, -1] += 1.0
    assert not np.allclose(policy.predict(rows)[0], policy.predict(other)[0])
    np.testing.assert_array_equal(policy.high_level(rows), policy.high_level(other))


@pytest.mark.parametrize("through", [True, False])
def test_what_is_written_is_read_again(tmp_path: Path, low_level: LowLevelPolicy, through: bool) -> None:
    root = written(tmp_path, low_level if through else None)
    loaded = load_transfer(root)
    assert (loaded.task, loaded.settings) == ("go-to-target", {"max_steps": 12})
    assert loaded.hyperparameters["gamma"] == 0.9
    own = TransferPolicy(controller(5 if through else 56), low_level if through else None, "go-to-target", own=OWN)
    rows = np.random.default_rng(0).standard_normal((3, own.obs_size)).astype(np.float32)
    np.testing.assert_allclose(loaded.policy.predict(rows)[0], own.predict(rows)[0], atol=1e-6)


def test_stock_stable_baselines3_opens_it(tmp_path: Path, low_level: LowLevelPolicy) -> None:
    from stable_baselines3 import PPO

    model = PPO.load(find_transfer_model(written(tmp_path, low_level)) / "best_model.zip")
    assert (model.action_space.high == 3.0).all()
    assert model.action_space.shape == (5,)


def test_a_model_without_its_low_level_policy_says_so(tmp_path: Path, published: Path) -> None:
    shutil.copytree(published / "transfer" / "go_to_target", tmp_path / "run")
    (tmp_path / "run/0/eval/model" / LOW_LEVEL_FILE).unlink()
    with pytest.raises(InvalidInputError, match="lacks its low-level policy") as caught:
        load_transfer(tmp_path / "run")
    assert LOW_LEVEL_FILE in caught.value.hint


def test_a_low_level_policy_of_another_size_is_refused(tmp_path: Path, low_level: LowLevelPolicy) -> None:
    root = written(tmp_path, low_level)
    config = NpmpConfig(embed_size=7, encoder_layers=(8,), decoder_layers=(8,))
    copy_low_level(Path("nowhere"), LowLevelPolicy(build_policy(config, seed=0)), root / "eval/model")
    with pytest.raises(InvalidInputError, match="5 columns; embeddings of 7"):
        load_transfer(root)


@pytest.mark.parametrize(("folder", "why"), [("mlp_reference", "no embedding"), ("mlp_time_index", "no embedding")])
def test_a_policy_without_a_decoder_is_refused(published: Path, folder: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        open_low_level(published / "multi_clip" / folder)
    assert folder in caught.value.message
    assert "npmp" in caught.value.hint


def test_several_runs_below_a_folder_must_be_named(published: Path) -> None:
    with pytest.raises(UsageError, match="holds 2 policies"):
        find_transfer_model(published / "transfer")


def test_an_experts_folder_holds_no_policy_for_a_task(published: Path) -> None:
    with pytest.raises(NotFoundError, match="no policy for a task"):
        find_transfer_model(published / "experts")
    with pytest.raises(NotFoundError, match="no policy for a task"):
        find_transfer_model(published / "experts/CMU_902_01-0-89/0/eval_rsi/model")


def test_a_model_that_does_not_say_its_task_needs_the_name(tmp_path: Path, low_level: LowLevelPolicy) -> None:
    observables = ("walker/joints_pos",)
    acting = ExpertPolicy.fresh(observables, 56, layers=(8,), act_size=5)
    copy_low_level(Path("nowhere"), low_level, tmp_path / "eval/model")
    write_transfer_model(tmp_path / "eval/model", acting, {"low_level": True}, {}, bound=3.0)
    with pytest.raises(UsageError, match="does not say which task"):
        load_transfer(tmp_path)
    assert load_transfer(tmp_path, task="velocity-control").task == "velocity-control"
    with pytest.raises(UsageError) as caught:
        load_transfer(tmp_path, task="velocity-contol")
    assert "velocity-control" in caught.value.hint


def test_a_record_that_is_not_one_is_no_reason_to_fail(tmp_path: Path, low_level: LowLevelPolicy) -> None:
    root = written(tmp_path, low_level)
    assert json.loads((root / "eval/model/normalizer.json").read_text())["observables"] == list(GoToTarget.observables)
    (root / "eval/model/best_model.zip").write_bytes(b"PK")
    with pytest.raises(InvalidInputError):
        load_transfer(root)
