from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.interop.policy_files import DESCRIPTION_FILE, WEIGHTS_FILE, to_safetensors
from mocapact_cli.core.policies.distilled import DistilledPolicy
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.zoo import build_policy

pytest.importorskip("safetensors")


@pytest.fixture
def perceptron() -> DistilledPolicy:
    policy = build_policy(MlpConfig(observables=("walker/joints_pos",), ref_steps=(1,), layers=(8,)), seed=0)
    policy.set_statistics(np.arange(56.0), np.arange(56.0))
    return policy


def test_a_multi_clip_policy_comes_back(tmp_path: Path, perceptron: DistilledPolicy) -> None:
    weights = to_safetensors(perceptron, tmp_path / "out")
    assert weights == tmp_path / "out" / WEIGHTS_FILE
    seen = np.random.default_rng(0).standard_normal((3, 56)).astype(np.float32)
    for path in (tmp_path / "out", weights):
        again = load_policy(path)
        assert isinstance(again, DistilledPolicy)
        assert again.config == perceptron.config
        np.testing.assert_array_equal(again.predict(seen)[0], perceptron.predict(seen)[0])


def test_an_expert_comes_back(tmp_path: Path, policy: ExpertPolicy, observations: np.ndarray) -> None:
    to_safetensors(policy, tmp_path)
    again = load_policy(tmp_path)
    assert isinstance(again, ExpertPolicy)
    assert (again.observables, again.ref_steps) == (policy.observables, policy.ref_steps)
    np.testing.assert_array_equal(again.predict(observations)[0], policy.predict(observations)[0])
    np.testing.assert_array_equal(again.values(observations), policy.values(observations))


def test_the_description_is_plain_json(tmp_path: Path, perceptron: DistilledPolicy) -> None:
    to_safetensors(perceptron, tmp_path)
    description = json.loads((tmp_path / DESCRIPTION_FILE).read_text())
    assert description["model"] == "mlp"
    assert description["observables"] == ["walker/joints_pos"]
    assert description["config"]["layers"] == [8]


def test_damaged_exports_are_refused(tmp_path: Path, perceptron: DistilledPolicy) -> None:
    weights = to_safetensors(perceptron, tmp_path)
    sound = weights.read_bytes()
    for content in (b"", sound[:-5], b"\xff" * 8 + sound[8:]):
        weights.write_bytes(content)
        with pytest.raises(InvalidInputError, match=r"model\.safetensors"):
            load_policy(tmp_path)
    weights.write_bytes(sound)
    for text in ("{", "[]", '{"model": "expert"}', '{"model": "npmp", "config": {}}'):
        (tmp_path / DESCRIPTION_FILE).write_text(text)
        with pytest.raises(InvalidInputError):
            load_policy(tmp_path)
    (tmp_path / DESCRIPTION_FILE).unlink()
    with pytest.raises(NotFoundError, match=r"config\.json"):
        load_policy(tmp_path)
