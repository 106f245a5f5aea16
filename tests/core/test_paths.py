import contextlib
import errno
import json
import stat

import numpy as np
import pytest

from mocapact_cli.core import paths
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError


def test_home_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MOCAPACT_HOME", str(tmp_path / "x"))
    assert paths.home() == tmp_path / "x"
    assert paths.data_dir("mocap") == tmp_path / "x" / "data" / "mocap"
    assert paths.runs_dir("experts") == tmp_path / "x" / "runs" / "experts"
    assert paths.cache_dir() == tmp_path / "x" / "cache"


def test_home_is_the_users_data_folder_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv("MOCAPACT_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert paths.home().name == "mocapact"


def test_home_knows_the_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MOCAPACT_HOME", "~/m")
    assert paths.home() == tmp_path / "m"


def test_atomic_write_replaces_in_one_go(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with paths.atomic_write(target) as temporary:
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
    with contextlib.suppress(OSError), paths.atomic_write(tmp_path / "below" / name, suffix=suffix) as temporary:
        left = temporary.rename(tmp_path / "moved")
    left.rename(temporary)
    paths.sweep(tmp_path)
    assert {path.name for path in (tmp_path / "below").iterdir()} == kept


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_atomic_write_leaves_the_old_file_when_writing_fails(tmp_path, failure):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(failure), paths.atomic_write(target) as temporary:
        temporary.write_text("half")
        raise failure
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_atomic_write_gives_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    paths.write_text(tmp_path / "ours", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ours")}
    assert len(modes) == 1


def test_atomic_write_keeps_the_suffix_for_writers_that_go_by_it(tmp_path):
    with paths.atomic_write(tmp_path / "film.mp4", suffix=".mp4") as temporary:
        assert temporary.suffix == ".mp4"


def test_write_json_knows_paths_and_numpy(tmp_path):
    written = paths.write_json(tmp_path / "a.json", {"p": tmp_path, "n": np.float64(1.5), "a": np.arange(3)})
    assert json.loads(written.read_text()) == {"p": str(tmp_path), "n": 1.5, "a": [0, 1, 2]}
    assert written.read_text().endswith("\n")


def test_write_json_refuses_what_it_does_not_know(tmp_path):
    with pytest.raises(TypeError, match="object"):
        paths.write_json(tmp_path / "a.json", object())
    assert not (tmp_path / "a.json").exists()


def test_files_of_a_record_that_still_exist(tmp_path):
    (tmp_path / "a").touch()
    named = [str(tmp_path / "a"), str(tmp_path / "gone"), 3, None]
    assert paths.existing_files(named) == [tmp_path / "a"]
    for damaged in (None, 5, str(tmp_path / "a"), {"a": 1}):
        assert paths.existing_files(damaged) == []


def test_existing_file(tmp_path):
    (tmp_path / "a").write_text("")
    assert paths.existing_file(str(tmp_path / "a")) == tmp_path / "a"
    with pytest.raises(NotFoundError, match="does not exist"):
        paths.existing_file(tmp_path / "b")
    with pytest.raises(NotFoundError, match="folder"):
        paths.existing_file(tmp_path)


def test_a_failed_write_says_which_file_it_was(tmp_path):
    with pytest.raises(OSError, match=r"name\.txt") as caught, paths.atomic_write(tmp_path / "name.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "name.txt")


def test_the_temporary_name_is_not_shown(tmp_path):
    with pytest.raises(OSError) as caught, paths.atomic_write(tmp_path / "name.txt") as temporary:
        raise PermissionError(errno.EACCES, "Permission denied", str(temporary))
    assert caught.value.filename == str(tmp_path / "name.txt")


def test_errors_of_other_files_keep_their_names(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, paths.atomic_write(tmp_path / "name.txt"):
        (tmp_path / "other.txt").read_bytes()
    assert caught.value.filename == str(tmp_path / "other.txt")


def test_a_folder_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "new/folder"
    with paths.atomic_folder(target) as temporary:
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
    with pytest.raises(failure), paths.atomic_folder(target) as temporary:
        (temporary / "file").write_text("new")
        raise failure
    assert (target / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with paths.atomic_folder(target) as temporary:
        (temporary / "new").touch()
        assert (target / "old").exists()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_gets_the_usual_permissions(tmp_path):
    (tmp_path / "plain").mkdir()
    with paths.atomic_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / "folder").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_a_killed_process_left_of_a_folder_is_swept_up(tmp_path):
    leftovers = [tmp_path / f".{name}.abc{paths.FOLDER_ENDING}" for name in ("a[1]", "other")]
    for leftover in leftovers:
        leftover.mkdir()
        (leftover / "file").touch()
    with paths.atomic_folder(tmp_path / "a[1]"):
        assert not leftovers[0].exists()
    assert leftovers[1].exists()


def test_errors_inside_a_folder_name_it(tmp_path):
    with pytest.raises(OSError) as caught, paths.atomic_folder(tmp_path / "folder") as temporary:
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary / "inside"))
    assert caught.value.filename == str(tmp_path / "folder")


def test_a_json_object_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [1]}', encoding="utf-8")
    assert paths.read_json_object(tmp_path / "a.json") == {"a": [1]}


@pytest.mark.parametrize(
    ("content", "said"), [(b"{", "not JSON"), (b"\xff", "not JSON"), (b"[1]", "not a JSON object")]
)
def test_what_is_no_json_object_is_named(tmp_path, content, said):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InvalidInputError, match=f"a.json is {said}"):
        paths.read_json_object(tmp_path / "a.json")


def test_a_missing_json_object_says_what_it_is_for(tmp_path):
    with pytest.raises(NotFoundError) as raised:
        paths.read_json_object(tmp_path / "a.json", hint="It holds all.")
    assert raised.value.hint == "It holds all."


def test_a_target_that_cannot_be_written_is_refused_before(tmp_path):
    (tmp_path / "file").write_text("")
    paths.check_target(tmp_path / "file")
    paths.check_target(tmp_path / "new" / "deeper" / "a.png")
    assert not (tmp_path / "new").exists()
    with pytest.raises(UsageError, match="is a folder"):
        paths.check_target(tmp_path)
    with pytest.raises(UsageError, match="no folder that can be written"):
        paths.check_target(tmp_path / "file" / "a.png")
