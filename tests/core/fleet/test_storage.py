from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mocapact_cli.core.errors import RunError
from mocapact_cli.core.fleet import machine, storage
from mocapact_cli.core.fleet.plan import Job, Plan
from mocapact_cli.core.fleet.storage import CHECKPOINT, local_experts, open_output

JOB = Job("demo_reach-0-30/0", 0, ("demo_reach-0-30",))
MODEL = Path("eval_rsi/model/best_model.zip")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan("train", f"file://{tmp_path}/far", {}, (JOB,))


def write(folder: Path, name: Path, text: str = "x") -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_a_finished_run_appears_at_its_address(plan: Plan, tmp_path: Path) -> None:
    output = open_output(plan)
    assert output.present(plan.jobs) == set()
    with output.workplace(JOB) as folder:
        assert not folder.is_relative_to(tmp_path / "far")
        write(folder, MODEL, "model")
        write(folder, CHECKPOINT)
        assert output.present(plan.jobs) == set()
    there = tmp_path / "far" / JOB.id
    assert (there / MODEL).read_text() == "model"
    assert output.present(plan.jobs) == {JOB.id}
    # Nothing is left on the way, here and there.
    assert [path.name for path in there.parent.iterdir()] == ["0"]
    assert {path.name for path in there.iterdir()} == {"eval_rsi", "checkpoints"}
    assert not folder.exists()


def test_a_run_that_comes_again_takes_the_place_of_the_one_before(plan: Plan, tmp_path: Path) -> None:
    for text in ("first", "second"):
        with open_output(plan).workplace(JOB) as folder:
            write(folder, MODEL, text)
    assert (tmp_path / "far" / JOB.id / MODEL).read_text() == "second"


def test_another_machine_goes_on_where_one_was_stopped(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(text: str, goes_on_from: str | None) -> None:
        with pytest.raises(KeyboardInterrupt), open_output(plan).workplace(JOB) as folder:
            found = (folder / CHECKPOINT).read_text() if (folder / CHECKPOINT).exists() else None
            assert found == goes_on_from
            write(folder, CHECKPOINT, text)
            raise KeyboardInterrupt

    stop("of the first", None)
    monkeypatch.setenv("MOCAPACT_HOME", "/nonexistent")
    monkeypatch.setattr(machine, "machine_id", lambda: "the second")
    monkeypatch.setattr(storage.paths, "runs_dir", lambda kind: Path(plan.output[7:]).parent / "second" / kind)
    stop("of the second", "of the first")
    monkeypatch.undo()
    # What lies here still is older now.
    stop("of the first again", "of the second")


def test_checkpoints_are_copied_while_it_runs(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_LOOK_EVERY", 0.01)
    half = tmp_path / "far/demo_reach-0-30/.0.unfinished" / CHECKPOINT
    with open_output(plan).workplace(JOB) as folder:
        write(folder, CHECKPOINT, "one")
        while not half.exists():
            pass
        write(folder, MODEL)
    assert not half.exists()


def test_a_rollout_is_one_file_at_the_address(plan: Plan, tmp_path: Path) -> None:
    plan = replace(plan, kind="rollout", jobs=(Job("demo_reach"),))
    output = open_output(plan)
    with output.workplace(plan.jobs[0]) as folder:
        write(folder, Path("demo_reach.hdf5"), "rows")
        write(folder, Path("other.txt"))
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["demo_reach.hdf5"]
    assert output.present(plan.jobs) == {"demo_reach"}


def test_experts_are_fetched_for_a_while(tmp_path: Path) -> None:
    write(tmp_path / "e", MODEL, "model")
    write(tmp_path / "e", Path("clip_info.json"), "{}")
    write(tmp_path / "e", Path("checkpoints/last.pt"), "large")
    with local_experts([f"file://{tmp_path}/e", str(tmp_path / "e")]) as (far, near):
        assert near == tmp_path / "e"
        assert (far / MODEL).read_text() == "model"
        assert (far / "clip_info.json").is_file()
        assert not (far / "checkpoints").exists()
    assert not far.exists()


def test_what_cannot_be_copied_out_is_not_lost(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "far").write_text("a file where a folder should be")
    with pytest.raises(RunError, match="cannot be read or written"), open_output(plan).workplace(JOB) as folder:
        write(folder, MODEL)
    assert (folder / MODEL).exists()


def test_a_folder_is_worked_in_where_it_lies(plan: Plan, tmp_path: Path) -> None:
    output = open_output(replace(plan, output=str(tmp_path / "near")))
    with output.workplace(JOB) as folder:
        assert folder == tmp_path / "near" / JOB.id
        assert output.present(plan.jobs) == set()
        write(folder, MODEL)
    assert output.present(plan.jobs) == {JOB.id}
