import math
from pathlib import Path

import pytest

from mocapact_cli.core.atomic import FOLDER_ENDING, atomic_folder
from mocapact_cli.core.doctor import contents
from mocapact_cli.core.doctor.findings import Level
from mocapact_cli.core.remote.files import RemoteFile
from mocapact_cli.core.remote.partial import PartialFile


def test_what_lies_there_is_added_up(mocapact_home, only):
    for name, size in (("data/experts/a/model.zip", 1000), ("data/mocap/x.h5", 500), ("cache/walker.mjb", 70)):
        path = mocapact_home / name
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(size))
    found = list(contents.look_at_contents())
    assert [(one.name, one.details["size"]) for one in found] == [
        ("data/experts", 1000), ("data/mocap", 500), ("cache", 70),
    ]  # fmt: skip
    assert only(found, "data/experts").text == "1 kB in 1 file: downloads and imports"


def test_what_interrupted_work_left_is_named(mocapact_home):
    folder = mocapact_home / "data" / "gpt"
    folder.mkdir(parents=True)
    download = PartialFile(folder / "gpt.ckpt", RemoteFile("gpt.ckpt", size=1 << 30))
    download.write([b"x" * 8192], 0)
    download.close()
    with pytest.raises(KeyboardInterrupt), atomic_folder(folder / "run") as half:
        (half / "file").write_bytes(bytes(4096))
        (folder / "killed").mkdir()
        half.rename(folder / "killed" / half.name)
        raise KeyboardInterrupt
    whole, left = contents.look_at_contents()
    assert left.level is Level.NOTE
    named = {Path(path).name for path in left.details["paths"]}
    assert {".gpt.ckpt.partial", ".gpt.ckpt.partial.json"} < named
    assert any(name.endswith(FOLDER_ENDING) for name in named)
    # The file has a hole of a gigabyte, which takes no room.
    assert whole.details["size"] < 1 << 20


def test_counting_ends_in_time(mocapact_home):
    (mocapact_home / "data").mkdir()
    (mocapact_home / "data" / "file").write_bytes(bytes(100))
    found = contents.contents_of(mocapact_home, until=-math.inf)
    assert not found.complete
    assert found.text().startswith("at least ")
    assert contents.contents_of(mocapact_home, until=math.inf).size == 100


def test_a_file_among_the_folders_of_data_counts_by_itself(mocapact_home, only):
    (mocapact_home / "data").mkdir()
    (mocapact_home / "data" / "cmu.h5").write_bytes(bytes(100))
    assert only(contents.look_at_contents(), "data/cmu.h5").text == "100 B in 1 file: downloads and imports"


def test_files_that_were_being_written_are_left_over_whatever_their_ending(mocapact_home):
    (mocapact_home / "runs").mkdir()
    for name in (".film.mp4.0123abcd.mp4", ".config.json.0123abcd.partial", ".hidden.mp4", "film.mp4"):
        (mocapact_home / "runs" / name).write_bytes(bytes(10))
    _, left = contents.look_at_contents()
    assert {Path(path).name for path in left.details["paths"]} == {
        ".film.mp4.0123abcd.mp4",
        ".config.json.0123abcd.partial",
    }


def test_what_may_not_be_read_is_passed_over(mocapact_home, monkeypatch):
    def refused(place):
        raise PermissionError(place)

    (mocapact_home / "data").mkdir()
    monkeypatch.setattr(contents.os, "scandir", refused)
    assert list(contents.look_at_contents()) == []
