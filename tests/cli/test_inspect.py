from __future__ import annotations

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
    line = next(line for line in shown.stdout.splitlines() if "walker_0/joints " in line)
    assert "56 x" in line
    assert "float64" in line


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
