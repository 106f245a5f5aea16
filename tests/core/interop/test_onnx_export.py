from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mocapact_cli.core.errors import MissingDependencyError, RunError
from mocapact_cli.core.interop import onnx_export
from mocapact_cli.core.interop.onnx_export import TOLERANCE, onnx_difference, to_onnx
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.interop.policy_interface import inputs, outputs
from mocapact_cli.core.policies.expert import ExpertPolicy

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package)

STATES: dict[str, list[str]] = {"mlp": [], "gpt": ["context", "fill"]}
STATES |= {model: ["embedding"] for model in ("hierarchical", "npmp", "mcp")}
SEEN = ["walker/world_zaxis", "walker/sensors_gyro", "walker/body_height"]


def session_of(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("model", STATES)
def test_onnxruntime_acts_as_the_policy(tmp_path: Path, tiny, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tiny(model).train()
    assert to_onnx(policy, tmp_path / "a.onnx") < 1e-6
    assert policy.training
    assert capsys.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    session = session_of(tmp_path / "a.onnx")
    for ports, found in ((inputs(policy), session.get_inputs()), (outputs(policy), session.get_outputs())):
        assert [(port.name, list(port.shape)) for port in ports] == [(value.name, value.shape) for value in found]
        assert [{"float32": "float", "int64": "int64"}[port.dtype] for port in ports] == [
            value.type.removeprefix("tensor(").removesuffix(")") for value in found
        ]
    assert [port.name for port in inputs(policy)] == ["observations", *STATES[model]]
    assert [port.name for port in outputs(policy)] == ["actions", *(f"next_{name}" for name in STATES[model])]
    said = session.get_modelmeta().custom_metadata_map
    assert said.pop("kind") == model
    assert {name: json.loads(text) for name, text in said.items()} == {
        "observables": SEEN, "sizes": [3, 3, 1], "ref_steps": [1],
    }  # fmt: skip


def test_an_expert_is_exported_with_its_normalizer(
    tmp_path: Path, policy: ExpertPolicy, observations: np.ndarray
) -> None:
    to_onnx(policy, tmp_path / "a.onnx")
    session = session_of(tmp_path / "a.onnx")
    for batch in (observations, observations[:1]):
        (actions,) = session.run(None, {"observations": batch})
        np.testing.assert_allclose(actions, policy.predict(batch)[0], atol=1e-6)
    assert session.get_modelmeta().custom_metadata_map["kind"] == "expert"


def test_a_file_of_another_policy_is_told(tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, other = tiny("mlp"), tiny("mlp", seed=1)
    to_onnx(policy, tmp_path / "a.onnx")
    assert onnx_difference(other, tmp_path / "a.onnx") > 1e-3
    (tmp_path / "b.onnx").write_bytes(b"not a graph")
    with pytest.raises(RunError, match="cannot run"):
        onnx_difference(policy, tmp_path / "b.onnx")
    exported = (tmp_path / "a.onnx").read_bytes()
    monkeypatch.setattr(onnx_export, "_export", lambda _: exported)
    with pytest.raises(RunError, match=r"differ by .*c\.onnx is not written") as caught:
        to_onnx(other, tmp_path / "c.onnx")
    assert f"{TOLERANCE:g}" in caught.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_what_the_exporter_cannot_do_is_said_in_a_line(tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such operator\nand a long story")

    monkeypatch.setattr(onnx_export, "_traced", fail)
    with pytest.raises(RunError) as caught:
        to_onnx(tiny("mlp"), tmp_path / "a.onnx")
    assert caught.value.message == "The policy cannot be written as ONNX: no such operator."
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named(tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingDependencyError, match="onnxscript") as caught:
        to_onnx(tiny("mlp"), tmp_path / "a.onnx")
    assert "mocapact[export]" in caught.value.hint
    assert not list(tmp_path.iterdir())


# The others take seconds each; the tiny networks above are of the same models.
_slow = pytest.mark.slow
PUBLISHED = [
    "multi_clip/npmp_rwr",
    pytest.param("multi_clip/mcp", marks=_slow),
    pytest.param("multi_clip/mlp_reference", marks=_slow),
    pytest.param("multi_clip/mlp_time_index", marks=_slow),
    pytest.param("motion_completion/gpt", marks=_slow),
]


@pytest.mark.parametrize("folder", PUBLISHED)
def test_published_policies_act_as_the_original(test_data: Path, tmp_path: Path, folder: str) -> None:
    policy = load_policy(test_data / "published" / folder)
    assert to_onnx(policy, tmp_path / "a.onnx") <= TOLERANCE
    session = session_of(tmp_path / "a.onnx")
    reference = np.load(test_data / f"published/reference/policy_{Path(folder).name}.npz")
    given = np.load(test_data / "published/reference/policy_observations.npz")
    flat = np.concatenate([given[f"obs/{name}"] for name in policy.observables], axis=1)
    if not STATES[policy.model]:
        (actions,) = session.run(None, {"observations": flat})
        np.testing.assert_allclose(actions, reference["action"], atol=TOLERANCE)
        return
    names = [f"seq_obs/{name}" for name in policy.observables]
    state = [np.zeros_like(part, shape=(4, *part.shape[1:])) for part in _initial(session)]
    for step, expected in enumerate(reference["seq_actions"]):
        if step == 10:  # as in the reference, environment 1 begins a new episode
            for part in state:
                part[1] = 0
        seen = np.concatenate([given[name][step] for name in names], axis=1)
        fed = {"observations": seen, **dict(zip(STATES[policy.model], state, strict=True))}
        actions, *state = session.run(None, fed)
        np.testing.assert_allclose(actions, expected, atol=TOLERANCE)


def _initial(session: Any) -> list[np.ndarray]:
    types = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
    return [np.zeros((1, *value.shape[1:]), types[value.type]) for value in session.get_inputs()[1:]]


@pytest.mark.parametrize("name", ["CMU_902_01-0-89", pytest.param("CMU_901_01-0-82", marks=_slow)])
def test_published_experts_act_as_the_original(test_data: Path, tmp_path: Path, name: str) -> None:
    policy = load_policy(test_data / "published/experts" / name)
    assert to_onnx(policy, tmp_path / "a.onnx") <= TOLERANCE
    reference = np.load(test_data / f"published/reference/expert_{name}.npz")
    flat = np.concatenate([reference[f"obs/{key}"] for key in policy.observables], axis=1).astype(np.float32)
    (actions,) = session_of(tmp_path / "a.onnx").run(None, {"observations": flat})
    np.testing.assert_allclose(actions, reference["action"], atol=TOLERANCE)


@pytest.mark.slow
def test_published_models_of_tasks_act_as_the_original(test_data: Path, tmp_path: Path) -> None:
    policy = load_policy(test_data / "published/transfer/go_to_target")
    assert to_onnx(policy, tmp_path / "a.onnx") <= TOLERANCE
    reference = np.load(test_data / "published/reference/transfer_go_to_target.npz")
    flat = np.concatenate([reference[f"obs/{key}"] for key in policy.observables], axis=1)
    (actions,) = session_of(tmp_path / "a.onnx").run(None, {"observations": flat})
    np.testing.assert_allclose(actions, reference["action"], atol=TOLERANCE)
