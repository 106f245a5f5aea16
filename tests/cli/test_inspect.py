from __future__ import annotations

import pickle
import tarfile
from pathlib import Path

import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips


@pytest.fixture
def mocap(tmp_path: Path) -> Path:
    write_clips(tmp_path / "demo.h5", [demo("demo_reach")])
    return tmp_path / "demo.h5"


def test_people_see_a_table_and_programs_the_same_facts(mocapact, mocap: Path) -> None:
    shown = mocapact("inspect", mocap)
    assert shown.code == 0
    assert "demo_reach" in shown.stdout
    document = mocapact("inspect", mocap, "--json").json
    assert document["kind"] == "mocap"
    assert document["path"] == str(mocap)
    assert f"{document['clips'][0]['poses']}" in shown.stdout
    assert mocapact("inspect", mocap, "--quiet").stdout == "mocap\n"


def test_the_tree_lists_arrays_with_shapes(mocapact, mocap: Path) -> None:
    shown = mocapact("inspect", mocap, "--tree")
    lines = [line.strip(" │├└─") for line in shown.stdout.splitlines()]
    inside = lines[lines.index("walker_0") :]
    poses = demo("demo_reach").num_steps
    assert f"joints  56 x {poses}  float64" in inside


@pytest.mark.parametrize(("content", "code"), [(b"", 4), (b"\x89HDF\r\n\x1a\n" + bytes(50), 4), (None, 3)])
def test_bad_files_end_in_one_line_and_their_code(mocapact, tmp_path: Path, content: bytes | None, code: int) -> None:
    if content is not None:
        (tmp_path / "bad.hdf5").write_bytes(content)
    outcome = mocapact("inspect", tmp_path / "bad.hdf5")
    assert outcome.code == code
    assert outcome.stdout == ""
    assert "bad.hdf5" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert mocapact("inspect", tmp_path / "bad.hdf5", "--json").json["error"]["message"]


@pytest.mark.parametrize(
    "name", ["dataset", "dataset/CMU_901_01.hdf5", "experts", "experts/CMU_902_01-0-89", "dataset/dataset_metrics.npz"]
)
def test_published_files_are_shown(mocapact, test_data: Path, name: str) -> None:
    outcome = mocapact("inspect", test_data / "published" / name)
    assert outcome.code == 0
    assert "CMU_90" in outcome.stdout
    assert mocapact("inspect", test_data / "published" / name, "--json").code == 0


def test_values_picture_and_page_are_written(mocapact, test_data: Path, tmp_path: Path) -> None:
    dataset = test_data / "published" / "dataset"
    (tmp_path / "a.png").write_bytes(b"what was there before")
    document = mocapact("inspect", dataset, "--values", "--plot", "a.png", "--html", "a.html", "--json").json
    assert document["values"]["steps"] == document["steps"]
    assert (document["plot"], document["html"]) == ("a.png", "a.html")
    assert (tmp_path / "a.png").read_bytes()[1:4] == b"PNG"
    assert (tmp_path / "a.png").stat().st_size < 300_000
    assert (tmp_path / "a.html").stat().st_size < 5_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--plot", "a.txt"), "not a kind of picture"),
        (("--html", "a.png"), "not the name of a page"),
        (("--plot", "folder.png"), "is a folder"),
        (("--html", "demo.h5/a.html"), "cannot be written"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(mocapact, mocap: Path, tmp_path: Path, arguments, words: str) -> None:
    (tmp_path / "folder.png").mkdir()
    outcome = mocapact("inspect", mocap, *arguments)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert words in outcome.stderr


def test_a_checkpoint_has_a_page_but_no_picture(mocapact, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"epoch": 3}))
    assert mocapact("inspect", "a.pkl", "--html", "a.html").code == 0
    assert "a.pkl" in (tmp_path / "a.html").read_text()
    assert "--values reads rollouts" in mocapact("inspect", "a.pkl", "--values").stderr
    outcome = mocapact("inspect", "a.pkl", "--plot", "a.png")
    assert outcome.code == 2
    assert "--plot draws:" in outcome.stderr
    assert not (tmp_path / "a.png").exists()


def test_the_inspected_file_is_never_overwritten(mocapact, mocap: Path, tmp_path: Path) -> None:
    page = tmp_path / "demo.html"
    page.hardlink_to(mocap)
    outcome = mocapact("inspect", mocap, "--html", page)
    assert outcome.code == 2
    assert "would be lost" in outcome.stderr


def test_tarballs_and_checkpoints_are_shown(mocapact, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("../CMU_016_22-0-82/x.hdf5")
        archive.addfile(info)
    outcome = mocapact("inspect", "a.tar")
    assert outcome.code == 0
    assert "must not be unpacked: leads out of the folder" in outcome.stdout
    assert mocapact("inspect", "a.tar", "--json").json["flagged"][0]["reason"] == "leads out of the folder"


def test_what_is_no_file_for_it_leads_on(mocapact, tmp_path: Path) -> None:
    (tmp_path / "07_01.amc").write_text(":DEGREES\n")
    recording = mocapact("inspect", "07_01.amc")
    assert (recording.code, "clips import 07_01.amc" in recording.stderr) == (4, True)
    clip = mocapact("inspect", "demo_walk")
    assert (clip.code, "clips show demo_walk" in clip.stderr) == (3, True)


def test_folders_beside_the_files_are_named(mocapact, mocap: Path) -> None:
    assert "not looked into" not in mocapact("inspect", mocap.parent).stdout
    (mocap.parent / "experts").mkdir()
    shown = mocapact("inspect", mocap.parent)
    assert "Folders in it are not looked into: experts." in shown.stdout
    assert mocapact("inspect", mocap.parent, "--json").json["folders"] == ["experts"]
