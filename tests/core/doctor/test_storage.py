from pathlib import Path

import pytest

from mocapact_cli.core.doctor import storage
from mocapact_cli.core.doctor.findings import Level


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


def test_what_covers_a_mount_counts_and_names_may_hold_any_letter(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda / ext4 rw 0 0\nauto {tmp_path} autofs rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n"
        f"x {tmp_path}/b\u00fccher\\040und tmpfs rw 0 0\n",
        encoding="utf-8",
    )
    assert storage.file_system(tmp_path / "deep", mounts) == "nfs4"
    assert storage.file_system(tmp_path / "b\u00fccher und" / "deep", mounts) == "tmpfs"
