import os

import pytest

from mocapact_cli.core import paths
from mocapact_cli.core.errors import NotFoundError, UsageError


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


def test_files_of_a_record_that_still_exist(tmp_path):
    (tmp_path / "a").touch()
    named = [str(tmp_path / "a"), str(tmp_path / "gone"), 3, None]
    assert paths.existing_files(named) == [tmp_path / "a"]
    for odd in ("a" * 5000, "nul\0", "\ud800", ""):
        assert paths.existing_files([odd, *named]) == [tmp_path / "a"]
    for damaged in (None, 5, str(tmp_path / "a"), {"a": 1}):
        assert paths.existing_files(damaged) == []


def test_files_of_a_record_that_may_not_be_looked_at_do_not_exist(monkeypatch, tmp_path):
    def refused(path):
        raise PermissionError(path)

    monkeypatch.setattr("pathlib.Path.is_file", refused)
    assert paths.existing_files([str(tmp_path)]) == []


def test_existing_file(tmp_path):
    (tmp_path / "a").write_text("")
    assert paths.existing_file(str(tmp_path / "a")) == tmp_path / "a"
    with pytest.raises(NotFoundError, match="does not exist"):
        paths.existing_file(tmp_path / "b")
    with pytest.raises(NotFoundError, match="folder"):
        paths.existing_file(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for odd in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(NotFoundError, match="is a pipe or a device"):
            paths.existing_file(odd)


def test_a_target_that_cannot_be_written_is_refused_before(tmp_path):
    (tmp_path / "file").write_text("")
    paths.check_target(tmp_path / "file")
    paths.check_target(tmp_path / "new" / "deeper" / "a.png")
    assert not (tmp_path / "new").exists()
    with pytest.raises(UsageError, match="is a folder"):
        paths.check_target(tmp_path)
    with pytest.raises(UsageError, match="no folder that can be written"):
        paths.check_target(tmp_path / "file" / "a.png")
