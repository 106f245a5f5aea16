from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mocapact_cli.core.errors import MissingDependencyError, RunError
from mocapact_cli.core.interop.onnx_export import onnx_difference, to_onnx
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.gpt import GptConfig
from mocapact_cli.core.policies.hierarchical import HierarchicalConfig
from mocapact_cli.core.policies.mcp import McpConfig
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package)

SEEN, BODY = ("walker/world_zaxis", "walker/sensors_gyro", "walker/body_height"), ("walker/sensors_gyro",)
_COMMON: dict[str, Any] = {"ref_steps": (1,), "act_size": 5}
_VIEWS: dict[str, Any] = {"encoder_observables": SEEN, "decoder_observables": BODY, "embed_size": 4}
CONFIGS = {
    "mlp": MlpConfig(**_COMMON, observables=SEEN, layers=(8,)),
    "hierarchical": HierarchicalConfig(**_COMMON, **_VIEWS, encoder_layers=(8,), decoder_layers=(8,)),
    "npmp": NpmpConfig(**_COMMON, **_VIEWS, encoder_layers=(8,), decoder_layers=(8,)),
    "mcp": McpConfig(
        **_COMMON, **_VIEWS, encoder_layers=(8,), n_primitives=2, gating_layers=(8,), shared_layers=(8,),
        primitive_layers=(8,),
    ),
    "gpt": GptConfig(**_COMMON, observables=SEEN, block_size=4, n_layer=1, n_head=2, n_embd=8),
}  # fmt: skip
STATES: dict[str, list[str]] = {"mlp": [], "gpt": ["context", "fill"]}
STATES |= {model: ["embedding"] for model in ("hierarchical", "npmp", "mcp")}


@pytest.mark.parametrize("model", CONFIGS)
def test_onnxruntime_acts_as_the_policy(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    import onnx

    policy = build_policy(CONFIGS[model], seed=0).train()
    policy.set_statistics(np.arange(7.0), np.arange(7.0) + 1.0)
    assert to_onnx(policy, tmp_path / "a.onnx") < 1e-5
    assert policy.training
    assert capsys.readouterr().out == ""
    graph = onnx.load(tmp_path / "a.onnx")
    assert [value.name for value in graph.graph.input] == ["observations", *STATES[model]]
    assert [value.name for value in graph.graph.output] == ["actions", *(f"next_{name}" for name in STATES[model])]
    said = {entry.key: json.loads(entry.value) for entry in graph.metadata_props}
    assert said == {"observables": list(SEEN), "ref_steps": [1]}


def test_an_expert_is_exported_with_its_normalizer(
    tmp_path: Path, policy: ExpertPolicy, observations: np.ndarray
) -> None:
    import onnxruntime

    to_onnx(policy, tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    (actions,) = session.run(None, {"observations": observations})
    np.testing.assert_allclose(actions, policy.predict(observations)[0], atol=1e-5)


def test_a_file_of_another_policy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, other = (build_policy(CONFIGS["mlp"], seed=seed) for seed in (0, 1))
    to_onnx(policy, tmp_path / "a.onnx")
    assert onnx_difference(other, tmp_path / "a.onnx") > 1e-3
    monkeypatch.setattr("mocapact_cli.core.interop.onnx_export.onnx_difference", lambda *_: float("nan"))
    with pytest.raises(RunError, match="not written"):
        to_onnx(policy, tmp_path / "b.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingDependencyError, match="onnxscript") as caught:
        to_onnx(build_policy(CONFIGS["mlp"]), tmp_path / "a.onnx")
    assert "mocapact[export]" in caught.value.hint
    assert not list(tmp_path.iterdir())
