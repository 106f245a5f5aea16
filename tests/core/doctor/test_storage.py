import math
from pathlib import Path

import pytest

from mocapact_cli.core import atomic
from mocapact_cli.core.atomic import atomic_folder
from mocapact_cli.core.doctor import storage
from mocapact_cli.core.doctor.findings import Level
from mocapact_cli.core.remote.files import RemoteFile
from mocapact_cli.core.remote.partial import PartialFile


def test_a_home_that_can_be_written_is_left_as_it_was(mocapact_home, only):
    found = list(storage.look_at_home())
    assert only(found, "home").level is Level.OK
    assert only(found, "space").details["free"] > 0
    assert list(mocapact_home.iterdir()) == []


def test_a_home_that_is_not_there_yet_is_not_made(mocapact_home, monkeypatch, only):
    monkeypatch.setenv("MOCAPACT_HOME", str(mocapact_home / "a" / "b"))
    found = only(storage.look_at_home(), "home")
    assert found.level is Level.OK
    assert "(to be made) can be written" in found.text
    assert list(mocapact_home.iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/mocapact"])
def test_a_home_that_cannot_be_written_is_a_problem(tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOCAPACT_HOME", str(tmp_path / place))
    (found,) = storage.look_at_home()
    assert found.level is Level.PROBLEM
    assert "MOCAPACT_HOME" in found.remedy


def test_a_small_disk_is_a_problem_and_one_in_memory_is_said(small_disk, monkeypatch, only):
    monkeypatch.setenv("MOCAPACT_HOME", str(small_disk(200)))
    found = list(storage.look_at_home())
    assert only(found, "space").level is Level.PROBLEM
    assert only(found, "file system").text.startswith("tmpfs: all of it is lost")


def test_a_full_disk_is_a_problem(small_disk, monkeypatch):
    disk = small_disk(64)
    with pytest.raises(OSError, match="No space"):
        (disk / "all").write_bytes(bytes(1 << 20))
    monkeypatch.setenv("MOCAPACT_HOME", str(disk))
    assert Level.PROBLEM in {found.level for found in storage.look_at_home()}


def test_a_file_system_without_locks_is_a_warning(monkeypatch, only):
    def no_locks(lock, **options):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", no_locks)
    assert only(storage.look_at_home(), "locks").level is Level.WARNING


def test_the_innermost_mount_counts(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\nx {tmp_path}/with\\040space tmpfs rw 0 0\nbad\n"
    )
    assert storage.file_system(Path("/"), mounts) == "ext4"
    assert storage.file_system(tmp_path / "deep", mounts) == "nfs4"
    assert storage.file_system(tmp_path / "with space" / "deep", mounts) == "tmpfs"
    assert storage.file_system(tmp_path, tmp_path / "nothing") == ""


def test_what_lies_there_is_added_up(mocapact_home, only):
    for name, size in (("data/experts/a/model.zip", 1000), ("data/mocap/x.h5", 500), ("cache/walker.mjb", 70)):
        path = mocapact_home / name
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(size))
    found = list(storage.look_at_contents())
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
    whole, left = storage.look_at_contents()
    assert left.level is Level.NOTE
    named = {Path(path).name for path in left.details["paths"]}
    assert {".gpt.ckpt.partial", ".gpt.ckpt.partial.json"} < named
    assert any(name.endswith(atomic.FOLDER_ENDING) for name in named)
    # The file has a hole of a gigabyte, which takes no room.
    assert whole.details["size"] < 1 << 20


def test_counting_ends_in_time(mocapact_home):
    (mocapact_home / "data").mkdir()
    (mocapact_home / "data" / "file").write_bytes(bytes(100))
    found = storage.contents_of(mocapact_home, until=-math.inf)
    assert not found.complete
    assert found.text().startswith("at least ")
    assert storage.contents_of(mocapact_home, until=math.inf).size == 100
