from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.errors import MissingDependencyError, UsageError
from mocapact_cli.core.interop import onnx_export
from mocapact_cli.core.interop.exporters.policies import export_policy
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.zoo import build_policy

pytest.importorskip("safetensors")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with the last checkpoint of a small policy."""
    config = MlpConfig(ref_steps=(1,), act_size=5, observables=("walker/world_zaxis",), layers=(8,))
    write_checkpoint(tmp_path / "run" / "model" / "last.ckpt", build_policy(config, seed=0))
    return tmp_path / "run"


def test_the_summary_says_what_was_written(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "a.safetensors"
    found = export_policy([run], target, "safetensors")
    assert (found.path, found.description) == (target, target.with_suffix(".json"))
    assert found.bytes == sum(path.stat().st_size for path in target.parent.iterdir())
    assert (found.model, found.observables, found.ref_steps) == ("mlp", {"walker/world_zaxis": 3}, (1,))
    assert [port.shape for port in (*found.inputs, *found.outputs)] == [("batch", 3), ("batch", 5)]
    assert found.largest_difference == 0.0
    again = export_policy([target], tmp_path / "b.safetensors", "safetensors")
    assert again.path.read_bytes() == target.read_bytes()


def test_an_earlier_export_is_replaced_only_by_force(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.safetensors"
    export_policy([run], target, "safetensors")
    with pytest.raises(UsageError, match="exists already"):
        export_policy([run], target, "safetensors")
    target.write_bytes(b"")
    export_policy([run], target, "safetensors", force=True)
    seen = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(load_policy(target).predict(seen)[0], load_policy(run).predict(seen)[0])


def test_nothing_else_is_ever_replaced(run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"years": "of work"}')
    (tmp_path / "b.json").write_text("no JSON")
    (tmp_path / "c.safetensors").mkdir()
    for name in "abc":
        with pytest.raises(UsageError, match="exists already"):
            export_policy([run], tmp_path / f"{name}.safetensors", "safetensors")
        with pytest.raises(UsageError, match="no earlier export"):
            export_policy([run], tmp_path / f"{name}.safetensors", "safetensors", force=True)
    assert (tmp_path / "a.json").read_text() == '{"years": "of work"}'
    assert not (tmp_path / "a.safetensors").exists()


def test_the_source_is_never_the_output(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.safetensors"
    export_policy([run], target, "safetensors")
    with pytest.raises(UsageError, match="replace the source"):
        export_policy([target], tmp_path / "run" / ".." / "a.safetensors", "safetensors", force=True)


@pytest.mark.parametrize("to", ["safetensors", "onnx"])
def test_requests_that_make_no_sense(run: Path, tmp_path: Path, to: str) -> None:
    with pytest.raises(UsageError, match="no name for a file") as caught:
        export_policy([run], tmp_path / "a.zip", to)
    assert f".{to}" in caught.value.hint
    with pytest.raises(UsageError, match="One policy is exported at a time, not 2"):
        export_policy([run, run], tmp_path / f"a.{to}", to)


@pytest.mark.parametrize(("to", "package"), [("safetensors", "safetensors"), ("onnx", "onnxruntime")])
def test_a_missing_package_is_named_before_anything_is_read(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, package: str
) -> None:
    (run / "model" / "last.ckpt").write_bytes(b"")
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "safetensors.torch", raising=False)
    with pytest.raises(MissingDependencyError, match=package) as caught:
        export_policy([run], tmp_path / f"a.{to}", to)
    assert "pip install 'mocapact[export]'" in caught.value.hint


def test_a_failure_keeps_the_earlier_export(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    target = tmp_path / "a.onnx"
    target.write_bytes(b"earlier")

    def interrupted(_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(onnx_export, "_export", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_policy([run], target, "onnx", force=True)
    assert target.read_bytes() == b"earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "run"]
