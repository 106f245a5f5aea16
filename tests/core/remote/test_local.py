import os

import pytest

from mocapact_cli.core.errors import NotFoundError
from mocapact_cli.core.remote.files import ChangedError
from mocapact_cli.core.remote.local import LocalSource


@pytest.fixture
def folder(tmp_path):
    for name in ("b/two.txt", "a/one.txt", "a/nested/three.txt", "ab.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode() * 1000)
    return tmp_path


def test_files_are_listed_by_the_beginning_of_their_names(folder):
    source = LocalSource(folder)
    assert [file.name for file in source.files("a/")] == ["a/nested/three.txt", "a/one.txt"]
    assert [file.name for file in source.files("a")] == ["a/nested/three.txt", "a/one.txt", "ab.txt"]
    assert [file.name for file in source.files("nothing/")] == []
    assert len(list(source.files(""))) == 4


def test_ranges_are_those_asked_for(folder):
    source, content = LocalSource(folder), b"a/one.txt" * 1000
    file = source.stat("a/one.txt")
    assert file.size == len(content)
    assert b"".join(source.read(file)) == content
    assert b"".join(source.read(file, 10, 100)) == content[10:100]
    assert b"".join(source.read(file, len(content))) == b""


def test_a_file_that_changes_is_not_mixed_with_what_it_was(folder):
    source = LocalSource(folder)
    file = source.stat("a/one.txt")
    (folder / "a" / "one.txt").write_bytes(b"new")
    os.utime(folder / "a" / "one.txt", ns=(1, 1))
    with pytest.raises(ChangedError):
        list(source.read(file))


def test_what_is_not_there_is_not_found(folder):
    with pytest.raises(NotFoundError):
        LocalSource(folder / "none")
    with pytest.raises(NotFoundError):
        LocalSource(folder).stat("a")
