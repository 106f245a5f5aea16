from __future__ import annotations

import json
from pathlib import Path

import pytest

from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.run_files import METRICS
from mocapact_cli.core.training.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.prepare(resume=False, force=False)
    run.write_record({"kind": "expert", "training": {"seed": 3}}, 3)
    return run


def test_a_run_is_not_overwritten_unasked(folder: RunFolder) -> None:
    with pytest.raises(UsageError, match="already holds a run") as caught:
        folder.prepare(resume=False, force=False)
    assert "--resume" in caught.value.hint
    assert "--force" in caught.value.hint
    assert folder.read_config()["training"] == {"seed": 3}


def test_a_published_expert_is_not_overwritten_either(tmp_path: Path) -> None:
    (tmp_path / "eval_rsi/model").mkdir(parents=True)
    with pytest.raises(UsageError, match="already holds a run"):
        RunFolder(tmp_path).prepare(resume=False, force=False)


def test_force_begins_with_an_empty_folder(folder: RunFolder) -> None:
    folder.prepare(resume=False, force=True)
    assert list(folder.root.iterdir()) == []


def test_what_a_killed_run_was_writing_is_swept_up(folder: RunFolder) -> None:
    before = sorted(folder.root.rglob("*"))
    for name in (".config.json.0a1b2c3d.partial", "checkpoints/.last.pt.0a1b2c3d.pt", "checkpoints/.notes.pt"):
        (folder.root / name).parent.mkdir(exist_ok=True)
        (folder.root / name).touch()
    folder.prepare(resume=True, force=False)
    assert {*folder.root.rglob("*")} - {*before} == {folder.checkpoints, folder.checkpoints / ".notes.pt"}


def test_a_run_that_was_killed_while_it_began_is_no_run(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {path.name for path in folder.root.iterdir()}
    written = []

    def dying(path: Path, value: object) -> None:
        if written:
            raise MemoryError("killed")
        written.append(path.name)

    folder.prepare(resume=False, force=True)
    monkeypatch.setattr("mocapact_cli.core.json_files.write_json", dying)
    with pytest.raises(MemoryError):
        folder.write_record({}, 3)
    assert written == ["versions.json"]
    assert whole == {"versions.json", "config.json"}


def test_resuming_keeps_everything(folder: RunFolder) -> None:
    before = sorted(folder.root.iterdir())
    folder.prepare(resume=True, force=False)
    assert sorted(folder.root.iterdir()) == before


def test_the_record_says_what_it_ran_with(folder: RunFolder) -> None:
    record = json.loads((folder.root / "versions.json").read_text())
    assert record["seed"] == 3
    assert all(record["packages"].values())
    assert {"mocapact", "mujoco", "torch", "stable-baselines3", "numpy", "scipy"} <= set(record["packages"])
    assert record["python"].count(".") == 2
    assert record["host"]
    assert {"git", "platform"} <= set(record)
    # Without a number of threads it is all processors.
    assert record["threads"] == record["cpus"] >= 1
    folder.write_record({}, 3, 2)
    assert json.loads((folder.root / "versions.json").read_text())["threads"] == 2


def test_metrics_survive_a_line_that_was_cut(folder: RunFolder) -> None:
    for timesteps in (0, 100, 200):
        folder.add_metrics({"timesteps": timesteps, "value": 0.5})
    with (folder.root / METRICS).open("a") as file:
        file.write('{"timesteps": 30')
    assert [row["timesteps"] for row in folder.metrics()] == [0, 100, 200]
    folder.keep_metrics_until(100)
    folder.add_metrics({"timesteps": 150})
    assert [row["timesteps"] for row in folder.metrics()] == [0, 100, 150]


def test_metrics_are_json_that_others_can_read(folder: RunFolder) -> None:
    with pytest.raises(ValueError, match="JSON"):
        folder.add_metrics({"timesteps": 0, "value": float("nan")})
    assert folder.metrics() == []


def test_there_is_no_record_where_there_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no run to resume"):
        RunFolder(tmp_path).read_config()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_damaged_record_is_said(folder: RunFolder, content: bytes) -> None:
    (folder.root / "config.json").write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"config\.json is damaged"):
        folder.read_config()
