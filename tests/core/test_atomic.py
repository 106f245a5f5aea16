import contextlib
import errno
import os
import stat

import pytest

from mocapact_cli.core.atomic import (
    FOLDER_ENDING,
    atomic_folder,
    atomic_write,
    delete_leftovers,
    is_temporary,
    write_text,
)


def test_atomic_write_replaces_in_one_go(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with atomic_write(target) as temporary:
        temporary.write_text("one")
        assert temporary.parent == target.parent
        assert not target.exists()
    assert target.read_text() == "one"
    assert [file.name for file in target.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize(("name", "suffix"), [("a.txt", ""), ("a.b.mp4", ".mp4"), ("plain", ""), (".mp4", ".mp4")])
def test_sweeping_removes_what_atomic_write_had_begun_and_nothing_else(tmp_path, name, suffix):
    (tmp_path / "below").mkdir()
    kept = {".hidden.txt", ".a.mp4.0123456z.mp4", ".a.mp4.01234567.png", "a.mp4.01234567.mp4", ".a.partial"}
    for each in kept:
        (tmp_path / "below" / each).touch()
    with contextlib.suppress(OSError), atomic_write(tmp_path / "below" / name, suffix=suffix) as temporary:
        left = temporary.rename(tmp_path / "moved")
    left.rename(temporary)
    found = {path.name for path in (tmp_path / "below").iterdir()}
    assert {name for name in found if is_temporary(name)} == found - kept == {temporary.name}
    delete_leftovers(tmp_path)
    assert {path.name for path in (tmp_path / "below").iterdir()} == kept


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_atomic_write_leaves_the_old_file_when_writing_fails(tmp_path, failure):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(failure), atomic_write(target) as temporary:
        temporary.write_text("half")
        raise failure
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_atomic_write_gives_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    write_text(tmp_path / "ours", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ours")}
    assert len(modes) == 1


def test_the_umask_of_other_threads_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", None)
    assert write_text(tmp_path / "a", "").is_file()


def test_atomic_write_keeps_the_suffix_for_writers_that_go_by_it(tmp_path):
    with atomic_write(tmp_path / "film.mp4", suffix=".mp4") as temporary:
        assert temporary.suffix == ".mp4"


def test_a_failed_write_says_which_file_it_was(tmp_path):
    with pytest.raises(OSError, match=r"name\.txt") as caught, atomic_write(tmp_path / "name.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "name.txt")


def test_the_temporary_name_is_not_shown(tmp_path):
    with pytest.raises(OSError) as caught, atomic_write(tmp_path / "name.txt") as temporary:
        raise PermissionError(errno.EACCES, "Permission denied", str(temporary))
    assert caught.value.filename == str(tmp_path / "name.txt")


def test_errors_of_other_files_keep_their_names(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "name.txt"):
        (tmp_path / "other.txt").read_bytes()
    assert caught.value.filename == str(tmp_path / "other.txt")


def test_a_folder_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "new/folder"
    with atomic_folder(target) as temporary:
        (temporary / "inside").mkdir()
        (temporary / "inside/file").write_text("x")
        assert not target.exists()
    assert (target / "inside/file").read_text() == "x"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_folder_stays_as_it_was_when_filling_fails(tmp_path, failure):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "file").write_text("old")
    with pytest.raises(failure), atomic_folder(target) as temporary:
        (temporary / "file").write_text("new")
        raise failure
    assert (target / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with atomic_folder(target) as temporary:
        (temporary / "new").touch()
        assert (target / "old").exists()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_gets_the_usual_permissions(tmp_path):
    (tmp_path / "plain").mkdir()
    with atomic_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / "folder").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_a_killed_process_left_of_a_folder_is_swept_up(tmp_path):
    leftovers = [tmp_path / f".{name}.abc{FOLDER_ENDING}" for name in ("a[1]", "other")]
    for leftover in leftovers:
        leftover.mkdir()
        (leftover / "file").touch()
    with atomic_folder(tmp_path / "a[1]"):
        assert not leftovers[0].exists()
    assert leftovers[1].exists()


def test_errors_inside_a_folder_name_it(tmp_path):
    with pytest.raises(OSError) as caught, atomic_folder(tmp_path / "folder") as temporary:
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary / "inside"))
    assert caught.value.filename == str(tmp_path / "folder")


def test_a_folder_that_is_being_filled_is_known_by_its_name(tmp_path):
    with atomic_folder(tmp_path / "folder") as temporary:
        assert is_temporary(temporary.name)
    assert not is_temporary("folder")
