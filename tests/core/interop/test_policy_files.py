from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mocapact_cli.core.errors import InvalidInputError, MissingDependencyError, NotFoundError, RunError
from mocapact_cli.core.interop import policy_files
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.interop.policy_files import description_file, to_safetensors
from mocapact_cli.core.policies.expert import ExpertPolicy

pytest.importorskip("safetensors")
MODELS = ("mlp", "hierarchical", "npmp", "mcp", "gpt")
PUBLISHED = (
    "multi_clip/mlp_reference", "multi_clip/mlp_time_index", "multi_clip/npmp_rwr", "multi_clip/mcp",
    "motion_completion/gpt", "experts/CMU_901_01-0-82", "experts/CMU_902_01-0-89", "experts_py38/CMU_902_01-0-89",
    "transfer/go_to_target", "transfer/go_to_target_no_low_level",
)  # fmt: skip


def assert_equal_actions(policy: Any, other: Any, steps: int = 6) -> None:
    """To the last bit, over steps that hand on their state."""
    rng, states = np.random.default_rng(0), [None, None]
    for _ in range(steps):
        seen = rng.standard_normal((3, policy.obs_size), np.float32)
        actions, states[0] = policy.predict(seen, states[0])
        others, states[1] = other.predict(seen, states[1])
        np.testing.assert_array_equal(actions, others)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_comes_back(tmp_path: Path, tiny, model: str) -> None:
    policy = tiny(model)
    assert to_safetensors(policy, tmp_path / "a.safetensors") == 0.0
    again = load_policy(tmp_path / "a.safetensors")
    assert type(again) is type(policy)
    assert again.config == policy.config
    assert_equal_actions(policy, again)


def test_an_expert_comes_back(tmp_path: Path, policy: ExpertPolicy, observations: np.ndarray) -> None:
    assert to_safetensors(policy, tmp_path / "a.safetensors") == 0.0
    again = load_policy(tmp_path / "a.safetensors")
    assert isinstance(again, ExpertPolicy)
    assert (again.observables, again.ref_steps) == (policy.observables, policy.ref_steps)
    assert_equal_actions(policy, again)
    np.testing.assert_array_equal(again.values(observations), policy.values(observations))
    np.testing.assert_array_equal(again.std, policy.std)


@pytest.mark.parametrize("folder", PUBLISHED)
def test_published_policies_come_back(test_data: Path, tmp_path: Path, folder: str) -> None:
    policy = load_policy(test_data / "published" / folder)
    to_safetensors(policy, tmp_path / "a.safetensors")
    again = load_policy(tmp_path / "a.safetensors")
    assert_equal_actions(policy, again, steps=3)
    if hasattr(policy, "values"):
        seen = np.random.default_rng(1).standard_normal((3, policy.obs_size), np.float32)
        np.testing.assert_array_equal(again.values(seen), policy.values(seen))


@pytest.mark.parametrize("folder", PUBLISHED)
def test_published_policies_need_no_pickle_once_they_are_exported(
    test_data: Path, tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    import torch

    to_safetensors(load_policy(test_data / "published" / folder), tmp_path / "a.safetensors")
    for module, name in ((pickle, "loads"), (pickle, "load"), (torch, "load")):
        monkeypatch.setattr(module, name, None)
    monkeypatch.setattr("mocapact_cli.core.safe.pickles.loads", None)
    assert load_policy(tmp_path / "a.safetensors").obs_size > 0
    header = (tmp_path / "a.safetensors").read_bytes()[8:]
    assert header.lstrip().startswith(b'{"')


def test_the_json_beside_says_what_the_policy_is(tmp_path: Path, tiny) -> None:
    to_safetensors(tiny("npmp"), tmp_path / "a.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.safetensors"]
    said = json.loads(description_file(tmp_path / "a.safetensors").read_text())
    assert (said["model"], said["config"]["embed_size"], said["ref_steps"]) == ("npmp", 4, [1])
    assert said["observables"] == ["walker/world_zaxis", "walker/sensors_gyro", "walker/body_height"]
    assert said["sizes"] == [3, 3, 1]
    assert said["statistics"]["mean"] == list(range(7))
    np.testing.assert_allclose(np.square(said["statistics"]["std"]), np.arange(7) + 1.0, rtol=1e-6)
    assert set(said["versions"]) == {"mocapact", "torch"}


def test_an_experts_statistics_are_in_the_json_exactly(tmp_path: Path, policy: ExpertPolicy) -> None:
    to_safetensors(policy, tmp_path / "a.safetensors")
    said = json.loads((tmp_path / "a.json").read_text())
    assert (said["model"], said["sizes"], said["config"]["actor"]) == ("expert", [56, 1], [8, 6])
    np.testing.assert_array_equal(said["statistics"]["var"], policy.normalizer.var)
    assert said["statistics"]["return_var"] == policy.normalizer.return_var


def test_the_file_alone_is_enough_and_a_folder_is_known_by_its_name(tmp_path: Path, tiny) -> None:
    policy = tiny("mlp")
    to_safetensors(policy, tmp_path / "model.safetensors")
    (tmp_path / "model.json").unlink()
    assert_equal_actions(policy, load_policy(tmp_path), steps=1)


def test_a_policy_that_comes_back_different_is_not_kept(tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tiny("mlp", seed=1)
    monkeypatch.setattr(policy_files, "load_safetensors", lambda *_: other)
    with pytest.raises(RunError, match="acts differently"):
        to_safetensors(tiny("mlp"), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_damaged_exports_are_refused(tmp_path: Path, tiny) -> None:
    file = tmp_path / "a.safetensors"
    to_safetensors(tiny("mlp"), file)
    sound = file.read_bytes()
    for content in (b"", sound[:-5], b"\xff" * 8 + sound[8:], sound[:8] + b"{" * 4000):
        file.write_bytes(content)
        with pytest.raises(InvalidInputError, match=r"a\.safetensors"):
            load_policy(file)
    file.unlink()
    with pytest.raises(NotFoundError, match=r"a\.safetensors"):
        load_policy(file)


@pytest.mark.parametrize(
    "said",
    [
        "{",
        "[" * 5000,
        "[]",
        "{}",
        '{"model": "expert"}',
        '{"model": "npmp", "config": {}}',
        '{"model": "mlp", "config": {"layers": [7]}}',
    ],
)
def test_descriptions_that_do_not_fit_are_refused(tmp_path: Path, tiny, said: str) -> None:
    import safetensors.torch

    metadata = {policy_files.DESCRIPTION_KEY: said}
    safetensors.torch.save_file(tiny("mlp").state_dict(), tmp_path / "a.safetensors", metadata)
    with pytest.raises(InvalidInputError, match=r"a\.safetensors"):
        load_policy(tmp_path / "a.safetensors")


@pytest.mark.parametrize("change", [{"observables": [[1], 2]}, {"ref_steps": ["a"]}, {"statistics": 3}, {"config": []}])
def test_descriptions_of_experts_that_do_not_fit_are_refused(tmp_path: Path, policy: ExpertPolicy, change) -> None:
    import safetensors.torch

    said = policy_files.describe_policy(policy) | change
    metadata = {policy_files.DESCRIPTION_KEY: json.dumps(said)}
    safetensors.torch.save_file(policy.network.state_dict(), tmp_path / "a.safetensors", metadata)
    with pytest.raises(InvalidInputError, match=r"a\.safetensors"):
        load_policy(tmp_path / "a.safetensors")


def test_a_missing_package_is_named(tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.delitem(sys.modules, "safetensors.torch", raising=False)
    with pytest.raises(MissingDependencyError, match="safetensors") as caught:
        to_safetensors(tiny("mlp"), tmp_path / "a.safetensors")
    assert "mocapact[export]" in caught.value.hint
    assert not list(tmp_path.iterdir())
