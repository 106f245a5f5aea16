"""What is read of a run's metrics while they grow, are taken back and grow again."""

import json

import pytest
import wandb
from hypothesis import given
from hypothesis import strategies as st
from wandb_file import rows, sessions

from mocapact_cli.core.interop.run_files import METRICS
from mocapact_cli.core.training.run_folder import RunFolder
from mocapact_cli.core.training.tracking import MetricsReader, plain
from mocapact_cli.core.training.wandb import NOTE, WandbTracker


def row(number):
    # As after a kill: the same numbers, but for the clock, which makes lines longer or shorter.
    return {"timesteps": number, "loss": number / 3}


@given(st.lists(st.tuples(st.sampled_from(["add", "back", "restart", "read"]), st.integers(0, 5)), max_size=40))
def test_every_line_is_read_once_and_in_order(tmp_path_factory, events):
    root = tmp_path_factory.mktemp("run")
    folder, reader, heard, count, clock = RunFolder(root), MetricsReader(root), [], 0, 0
    for event, amount in [*events, ("read", 0)]:
        if event == "add":
            for _ in range(amount):
                folder.add_metrics({**row(count), "seconds": clock})
                count, clock = count + 1, clock * 3 + 1
        elif event == "back":
            count = max(0, count - amount)
            folder.keep_metrics_until(count - 1)
        elif event == "restart":
            reader = MetricsReader(root, reader.seen)
        else:
            heard += reader.new()
    assert [number for number, _ in heard] == list(range(len(heard)))
    assert len(heard) >= count
    assert all({name: line[name] for name in row(0)} == row(number) for number, line in heard)


def test_a_half_written_line_is_left_for_later(tmp_path):
    reader = MetricsReader(tmp_path)
    (tmp_path / METRICS).write_text('{"a": 1}\n{"a":')
    assert reader.new() == [(0, {"a": 1})]
    with (tmp_path / METRICS).open("a") as file:
        file.write(" 2}\nnonsense\n[3]\n")
    assert reader.new() == [(1, {"a": 2})]
    assert reader.seen == 4


def test_a_document_becomes_plain(tmp_path):
    assert plain({"path": tmp_path, "none": None, "more": [1.5]}) == {"path": str(tmp_path), "more": [1.5]}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run's folder, offline."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = RunFolder(tmp_path / "demo" / "0")
    folder.prepare(resume=False, force=False)
    folder.write_record({"kind": "expert", "training": {"layers": [8], "max_minutes": None}}, seed=3)
    yield folder
    # What it read of the environment holds as long as its process does.
    wandb.teardown()


@pytest.fixture
def warned():
    return []


def test_rows_settings_result_and_pictures_arrive(run, warned):
    from PIL import Image

    tracker = WandbTracker(warned.append)
    folder = RunFolder(run.root, tracker)
    tracker.begin(folder.root)
    for number in range(3):
        folder.add_metrics(row(number))
    Image.new("RGB", (8, 8)).save(folder.root / "curve.png")
    tracker.finish({"model": folder.root / "model", "best": {"return": 0.5}, "nothing": None})
    tracker.finish()
    (session,) = sessions(folder.root)
    assert rows(session) == [row(number) for number in range(3)]
    assert (session["project"], session["name"], session["exit_code"]) == ("mocapact", "demo/0", 0)
    assert session["config"]["training"] == {"layers": [8], "max_minutes": None}
    assert session["config"]["versions"]["seed"] == 3
    assert session["summary"]["best"] == {"return": 0.5}
    assert session["summary"]["model"] == str(folder.root / "model")
    assert session["axis"] == {"timesteps"}
    (picture,) = folder.root.rglob("media/images/curve_*.png")
    assert picture.read_bytes() == (folder.root / "curve.png").read_bytes()
    assert warned == []


def test_a_run_that_goes_on_continues_the_same_one_without_a_line_missing_or_twice(run, warned):
    run.add_metrics(row(0))
    for first, last in ((1, 3), (3, 5)):
        run.keep_metrics_until(first - 1)
        tracker = WandbTracker(warned.append)
        folder = RunFolder(run.root, tracker)
        tracker.begin(folder.root)
        for number in range(first, last):
            folder.add_metrics(row(number))
        if last == 3:
            # Unseen by W&B: the process was killed.
            run.add_metrics(row(3))
        tracker.finish({})
    one, two = sessions(run.root)
    assert one["id"] == two["id"] == json.loads((run.root / NOTE).read_text())["id"]
    assert rows(one) + rows(two) == [row(number) for number in range(5)]
    assert [line["_step"] for line in one["rows"] + two["rows"] if "timesteps" in line] == list(range(5))
    assert warned == []


def test_a_training_that_failed_is_marked(run, warned):
    tracker = WandbTracker(warned.append)
    tracker.begin(run.root)
    tracker.finish()
    assert sessions(run.root)[0]["exit_code"] == 1


def test_a_failure_is_said_once_and_stops_nothing(run, warned, monkeypatch):
    tracker = WandbTracker(warned.append)
    folder = RunFolder(run.root, tracker)
    tracker.begin(folder.root)

    def broken(*arguments, **options):
        raise OSError("no space left\nand more, Bearer abcdefgh123456")

    monkeypatch.setattr(tracker._run, "log", broken)
    for number in range(3):
        folder.add_metrics(row(number))
    tracker.finish({})
    assert len(warned) == 1
    assert "no space left. Training goes on" in warned[0]
    assert len(folder.metrics()) == 3


def test_a_server_that_is_not_there_is_said_once(run, warned, monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    tracker = WandbTracker(warned.append)
    tracker.begin(run.root)
    RunFolder(run.root, tracker).add_metrics(row(0))
    tracker.finish({})
    assert len(warned) == 1
    assert "W&B no longer follows this run" in warned[0]


def test_offline_holds_for_it_too(monkeypatch, run, warned):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("MOCAPACT_OFFLINE", "1")
    tracker = WandbTracker(warned.append)
    tracker.begin(run.root)
    tracker.finish({})
    assert len(sessions(run.root)) == 1
    assert warned == []


@pytest.mark.parametrize("text", ["", "{}", '{"id": 3, "rows": 1}', '{"id": "x"}'])
def test_a_damaged_note_begins_another_one(run, warned, text):
    (run.root / NOTE).write_text(text)
    tracker = WandbTracker(warned.append)
    tracker.begin(run.root)
    tracker.finish({})
    assert len(json.loads((run.root / NOTE).read_text())["id"]) == 8


def test_before_a_run_begins_there_is_nothing_to_follow(warned):
    tracker = WandbTracker(warned.append)
    tracker.update()
    tracker.finish({})
    assert warned == []
    assert tracker._run is None
