"""Models of transfer tasks: the original's numbers, and folders that lack something."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.interop.transfer_folder import LOW_LEVEL_FILE
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.transfer import TransferPolicy

TASKS = ("go_to_target", "go_to_target_no_low_level")


def _reference(test_data: Path, task: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    arrays = dict(np.load(test_data / f"published/reference/transfer_{task}.npz"))
    return arrays, {name.removeprefix("obs/"): value for name, value in arrays.items() if name.startswith("obs/")}


@pytest.mark.parametrize("task", TASKS)
def test_published_models_act_as_they_did(test_data: Path, task: str) -> None:
    policy = load_policy(test_data / "published/transfer" / task)
    reference, observations = _reference(test_data, task)
    assert isinstance(policy, TransferPolicy | ExpertPolicy)
    actions, state = policy.predict(observations)
    assert state is None
    np.testing.assert_allclose(actions, reference.get("action", reference["high_level_action"]), atol=1e-5)
    np.testing.assert_allclose(policy.values(observations), reference["value"], atol=1e-5)
    flat = np.concatenate([observations[name] for name in policy.observables], axis=1)
    np.testing.assert_array_equal(policy.predict(flat)[0], actions)
    np.testing.assert_allclose(policy.predict(flat[0])[0], actions[0], atol=1e-6)


def test_published_embeddings_are_the_originals(test_data: Path) -> None:
    policy = load_policy(test_data / "published/transfer/go_to_target")
    reference, observations = _reference(test_data, "go_to_target")
    assert isinstance(policy, TransferPolicy)
    np.testing.assert_allclose(policy.embeddings(observations), reference["high_level_action"], atol=1e-5)
    assert policy.low_level.max_embed == reference["action_space_high"].max()
    drawn = policy.embeddings(observations, deterministic=False)
    assert np.abs(drawn - reference["high_level_action"]).mean() > 1.0
    assert np.abs(drawn).max() <= 3.0


@pytest.mark.parametrize("place", ["", "0", "0/eval", "0/eval/model"])
def test_a_model_is_found_from_every_folder_above_it(test_data: Path, place: str, monkeypatch) -> None:
    task = test_data / "published/transfer/go_to_target"
    assert isinstance(load_policy(task / place), TransferPolicy)
    monkeypatch.chdir(task / place)
    assert isinstance(load_policy("."), TransferPolicy)


@pytest.fixture
def task(test_data: Path, tmp_path: Path) -> Path:
    """A copy of a published task's folder that may be changed."""
    folder = tmp_path / "go_to_target"
    shutil.copytree(test_data / "published/transfer/go_to_target", folder)
    for path in folder.rglob("*"):
        path.chmod(0o755)
    return folder


def test_of_several_seeds_one_is_asked_for(task: Path) -> None:
    shutil.copytree(task / "0", task / "1")
    with pytest.raises(UsageError, match="holds 2 models") as caught:
        load_policy(task)
    assert str(task / "0") in caught.value.hint


def test_without_its_low_level_policy_the_model_says_what_it_needs(task: Path) -> None:
    (task / "0/eval/model" / LOW_LEVEL_FILE).unlink()
    with pytest.raises(InvalidInputError, match=r"has no low_level_policy\.ckpt, .* embeddings of 20"):
        load_policy(task)


def test_a_low_level_policy_of_another_run_is_refused(task: Path, tiny) -> None:
    for model, words in (("npmp", "gives 20 numbers, its low-level policy takes 4"), ("mlp", "has no embedding")):
        write_checkpoint(task / "0/eval/model" / LOW_LEVEL_FILE, tiny(model))
        with pytest.raises(InvalidInputError, match=words):
            load_policy(task)


@pytest.mark.parametrize("name", ["vecnormalize.pkl", "best_model.zip"])
def test_what_is_missing_is_named(task: Path, name: str) -> None:
    (task / "0/eval/model" / name).unlink()
    with pytest.raises(NotFoundError, match=r"vecnormalize\.pkl does not exist|no expert"):
        load_policy(task)
