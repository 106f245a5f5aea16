from __future__ import annotations

from pathlib import Path

import pytest

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.evaluation.inspect_tables import fact_pairs, fact_tables
from mocapact_cli.core.evaluation.inspection import inspect_path
from mocapact_cli.core.evaluation.run_folders import find_runs, run_facts

LAYERS = ({"pi": [64, 32], "vf": [64, 32]}, {"pi": [64], "vf": [32, 32]}, [8], None)
"""Of Stable-Baselines3, as it writes them."""


def make_run(folder: Path) -> Path:
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "last.ckpt").touch()
    (folder / "flags.txt").write_text("--n_steps=40\n\n--model=npmp\n")
    return folder


def test_published_runs_say_their_flags_and_checkpoints(tmp_path: Path) -> None:
    found = inspect_path(make_run(tmp_path / "npmp"))
    assert (found["kind"], found["flags"]) == ("run", ["--n_steps=40", "--model=npmp"])
    assert found["checkpoints"] == ["model/last.ckpt"]


def test_folders_of_many_runs(tmp_path: Path) -> None:
    for name in ("b", "a", "deep/c"):
        make_run(tmp_path / name)
    make_run(tmp_path / "a" / "inside")
    assert [run.relative_to(tmp_path).as_posix() for run in find_runs(tmp_path)] == ["a", "b", "deep/c"]
    found = inspect_path(tmp_path)
    assert found["kind"] == "runs"
    assert [row["name"] for row in found["runs"]] == ["a", "b", "deep/c"]


def test_long_metrics_are_read_from_their_end(tmp_path: Path) -> None:
    lines = "".join(f'{{"step": {step}, "note": "{"x" * 100}"}}\n' for step in range(20_000))
    (tmp_path / "metrics.jsonl").write_text(lines + '{"step": 20000')
    assert run_facts(tmp_path)["last_metrics"]["step"] == 19_999
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InvalidInputError, match="not JSON"):
        run_facts(tmp_path)


def test_published_runs(test_data: Path) -> None:
    published = test_data / "published"
    assert inspect_path(published / "multi_clip")["kind"] == "runs"
    found = inspect_path(published / "transfer" / "go_to_target")
    assert found["kind"] in ("run", "runs")
    evaluations = inspect_path(published / "transfer/go_to_target/0/eval/evaluations.npz")["evaluations"]
    assert "norm_return" not in evaluations[0]
    assert evaluations[-1]["length"]["mean"] > 0


def test_people_see_a_runs_own_flags_and_widths_of_layers() -> None:
    run = {"flags": ["--n_steps=40", "--nohelp", "--verbosity=0", "--nosquash"], "checkpoints": []}
    assert dict(fact_pairs({"kind": "run", "path": "run", **run}))["Flags"] == "--n_steps=40 --nosquash"
    model = {"path": "m", "bytes": 1, "activation": "Tanh", "observables": []}
    layers = {
        str(layers): dict(fact_pairs({"kind": "model", "layers": layers, **model}))["Layers"] for layers in LAYERS
    }
    assert list(layers.values()) == ["64 x 32; Tanh", "pi 64; vf 32 x 32; Tanh", "8; Tanh", "None; Tanh"]


def test_columns_without_anything_are_left_out() -> None:
    rows = [{"timesteps": 8, "episodes": 2, "return": {"mean": 1.0, "std": 0.0}}]
    table = fact_tables({"kind": "evaluations", "evaluations": rows})[0]
    assert (list(table.columns), table.numeric) == (["Steps", "Episodes", "Return"], ("Steps", "Episodes", "Return"))
