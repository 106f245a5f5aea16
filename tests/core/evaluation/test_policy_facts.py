from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.errors import InvalidInputError, MissingDependencyError
from mocapact_cli.core.evaluation.inspect_tables import fact_notes, fact_pairs, fact_tables
from mocapact_cli.core.evaluation.inspection import inspect_path
from mocapact_cli.core.interop.policy_files import to_safetensors
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.zoo import build_policy

onnx = pytest.importorskip("onnx")
safetensors_numpy = pytest.importorskip("safetensors.numpy")


def graph(**metadata: str) -> onnx.ModelProto:
    """A graph that multiplies 3 columns by a matrix."""
    numbers = onnx.numpy_helper.from_array(np.ones((3, 2), np.float32), "weight")
    ports = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", size])
        for name, size in (("observations", 3), ("actions", 2))
    ]
    node = onnx.helper.make_node("MatMul", ["observations", "weight"], ["actions"])
    made = onnx.helper.make_graph([node], "step", ports[:1], ports[1:], [numbers])
    model = onnx.helper.make_model(made, producer_name="tests", opset_imports=[onnx.helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.helper.set_model_props(model, metadata)
    return model


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    config = MlpConfig(ref_steps=(1, 2), act_size=5, observables=("walker/world_zaxis",), layers=(8,))
    to_safetensors(build_policy(config, seed=0), tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


def test_an_exported_policy_says_what_it_is(exported: Path) -> None:
    found = inspect_path(exported, check=True)
    assert (found["kind"], found["model"], found["ref_steps"]) == ("safetensors", "mlp", [1, 2])
    assert (found["observables"], found["check"]) == ({"walker/world_zaxis": 3}, "sound")
    assert found["settings"]["layers"] == [8]
    assert found["metadata"] == {}
    shapes = {row["path"]: row["shape"] for row in found["tensors"]}
    assert tuple(shapes["features.mean"]) == (3,)
    assert found["parameters"] == 3 * 8 + 8 + 8 * 5 + 5 + 2 * 3
    said = dict(fact_pairs(found))
    assert (said["Sees"], said["Reference steps"], said["Check"]) == ("walker/world_zaxis 3", "1, 2", "sound")
    assert [part.title for part in fact_tables(found)] == ["Settings", "Tensors"]


def test_safetensors_of_others_are_shown_too(tmp_path: Path) -> None:
    path = tmp_path / "b.safetensors"
    safetensors_numpy.save_file({"x": np.zeros((2, 3), np.float16)}, path, {"author": "someone", "mocapact": "3"})
    found = inspect_path(path, check=True)
    assert (found["model"], found["observables"], found["metadata"]) == (None, {}, {"author": "someone"})
    assert found["tensors"] == [{"path": "x", "shape": (2, 3), "dtype": "float16"}]
    assert "Model" not in dict(fact_pairs(found))


def test_a_graph_says_what_goes_in_and_comes_out(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    seen = {"observables": '["walker/world_zaxis"]', "sizes": "[3]", "ref_steps": "[1]"}
    onnx.save(graph(kind="npmp", author="someone", **seen), path)
    found = inspect_path(path, check=True)
    assert (found["kind"], found["model"], found["observables"]) == ("onnx", "npmp", {"walker/world_zaxis": 3})
    assert found["inputs"] == [{"name": "observations", "shape": ["batch", 3], "dtype": "float32"}]
    assert found["outputs"] == [{"name": "actions", "shape": ["batch", 2], "dtype": "float32"}]
    assert (found["parameters"], found["operators"], found["opsets"]) == (6, {"MatMul": 1}, {"ai.onnx": 20})
    assert (found["metadata"], found["check"]) == ({"author": "someone"}, "sound")
    said = dict(fact_pairs(found))
    assert said["Inputs"] == "observations batch x 3, float32"
    assert fact_notes(found) == []


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}', "[" * 5000])
def test_metadata_that_makes_no_sense_is_left_out(tmp_path: Path, text: str) -> None:
    onnx.save(graph(observables='["a", "b"]', sizes=text, ref_steps=text), tmp_path / "a.onnx")
    assert inspect_path(tmp_path / "a.onnx")["observables"] == {}


def test_numbers_in_other_files_are_named_and_never_opened(tmp_path: Path) -> None:
    model = graph()
    numbers = model.graph.initializer[0]
    numbers.ClearField("raw_data")
    numbers.data_location = onnx.TensorProto.EXTERNAL
    numbers.external_data.add(key="location", value="../secret")
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    found = inspect_path(tmp_path / "a.onnx")
    assert found["outside_files"] == ["../secret"]
    assert "'../secret'" in fact_notes(found)[0]


@pytest.mark.parametrize("name", ["a.onnx", "a.safetensors"])
def test_damaged_files_end_in_one_line(tmp_path: Path, exported: Path, name: str) -> None:
    onnx.save(graph(), tmp_path / "a.onnx")
    sound = (tmp_path / name).read_bytes()
    for content in (b"", b"\n", sound[:40], b"\xff" * 60):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInputError, match=name) as caught:
            inspect_path(tmp_path / name)
        assert "\n" not in caught.value.message


def test_the_check_finds_what_the_header_does_not_say(tmp_path: Path) -> None:
    broken = graph()
    broken.graph.node[0].op_type = "NoSuchOperator"
    infinite = graph()
    infinite.graph.initializer[0].raw_data = np.full((3, 2), np.inf, np.float32).tobytes()
    for name, model in (("broken", broken), ("infinite", infinite)):
        (tmp_path / f"{name}.onnx").write_bytes(model.SerializeToString())
        assert inspect_path(tmp_path / f"{name}.onnx")["kind"] == "onnx"
        with pytest.raises(InvalidInputError, match=rf"{name}\.onnx"):
            inspect_path(tmp_path / f"{name}.onnx", check=True)
    safetensors_numpy.save_file({"x": np.array([np.nan], np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(InvalidInputError, match="x holds values that are not finite"):
        inspect_path(tmp_path / "a.safetensors", check=True)
    safetensors_numpy.save_file(
        {"x": np.zeros(1, np.float32)}, tmp_path / "b.safetensors", {"mocapact": '{"model": "mlp"}'}
    )
    with pytest.raises(InvalidInputError, match=r"b\.safetensors"):
        inspect_path(tmp_path / "b.safetensors", check=True)


@pytest.mark.parametrize(("name", "package"), [("a.onnx", "onnx"), ("a.safetensors", "safetensors")])
def test_a_missing_package_is_named(
    tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    onnx.save(graph(), tmp_path / "a.onnx")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=package) as caught:
        inspect_path(tmp_path / name)
    assert "mocapact[export]" in caught.value.hint
