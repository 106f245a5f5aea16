"""The whole pipeline through the installed program, with a training of seconds."""

import shutil

import pytest

SHORT = ("--minutes", "0.05")


@pytest.fixture(scope="module")
def made(tmp_path_factory, mocapact_once):
    folder = tmp_path_factory.mktemp("quickstart") / "out"
    return folder, mocapact_once("quickstart", "--clip", "demo_squat-0-40", *SHORT, "--out", str(folder), "--json")


def test_every_stage_leaves_what_it_names(made):
    folder, done = made
    assert done.code == 0, done.stderr
    names = [stage["name"] for stage in done.json["stages"]]
    assert names == ["train", "evaluate", "film", "rollout", "inspect"]
    assert (folder / "experts" / "demo_squat-0-40" / "0" / "eval_rsi" / "model" / "best_model.zip").is_file()
    assert (folder / "dataset" / "demo_squat.hdf5").is_file()
    assert done.json["seconds"] == pytest.approx(sum(stage["seconds"] for stage in done.json["stages"]))


def test_the_expert_is_evaluated_both_ways(made):
    _, done = made
    assert done.json["expert"]["episodes"] == 200
    assert done.json["expert_from_start"]["episodes"] == 1
    assert 0.0 < done.json["expert"]["norm_length"]["mean"] <= 1.0


def test_the_film_is_there_or_said_to_be_missing(made):
    folder, done = made
    filmed = (folder / "expert.mp4").is_file()
    assert filmed != bool(done.json["notes"])


def test_a_second_run_in_the_same_folder_is_refused_and_changes_nothing(made, mocapact):
    folder, _ = made
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    again = mocapact("quickstart", "--clip", "demo_squat-0-40", *SHORT, "--out", str(folder))
    assert again.code == 2
    assert "--resume" in again.stderr
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_unknown_clips_are_named_with_the_nearest(mocapact, tmp_path):
    failed = mocapact("quickstart", "--clip", "demo_sqat", "--out", str(tmp_path / "out"))
    assert failed.code == 3
    assert "demo_squat" in failed.stderr


@pytest.mark.slow
def test_a_recording_is_imported_first(mocapact, test_data, tmp_path):
    for name in ("07_01.amc", "07.asf"):
        shutil.copy(test_data / "mocap" / "cmu" / name, tmp_path)
    out = tmp_path / "out"
    done = mocapact("quickstart", "--clip", str(tmp_path / "07_01.amc"), *SHORT, "--out", str(out), "--json")
    assert done.code == 0, done.stderr
    assert done.json["stages"][0]["name"] == "import"
    assert done.json["snippet"].startswith("CMU_007_01-0-")
    assert (out / "dataset" / "CMU_007_01.hdf5").is_file()
