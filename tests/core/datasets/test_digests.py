"""Digests of files."""

import hashlib
import os

import pytest

from mocapact_cli.core.datasets import digests
from mocapact_cli.core.datasets.digests import file_digests


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"one")
    os.utime(path, ns=(10**18, 10**18))
    return path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_they_are_those_of_the_content(file, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"")
    assert file_digests([file, other], tmp_path / "memory") == [sha256(file), sha256(other)]


def test_an_untouched_file_is_not_read_again(file, tmp_path, monkeypatch):
    first = file_digests([file], tmp_path)
    monkeypatch.setattr(digests, "_computed", lambda *_: pytest.fail("it was read"))
    assert file_digests([file], tmp_path) == first


def test_a_touched_file_is_read_again(file, tmp_path):
    file_digests([file], tmp_path)
    file.write_bytes(b"two")
    assert file_digests([file], tmp_path) == [sha256(file)]


def test_a_new_file_is_not_trusted_yet(file, tmp_path):
    os.utime(file)
    stamp = file.stat().st_mtime_ns
    file_digests([file], tmp_path)
    with file.open("r+b") as stream:
        stream.write(b"two")
    os.utime(file, ns=(stamp, stamp))
    assert file_digests([file], tmp_path) == [sha256(file)]


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": [1]}', "\x00"])
def test_a_damaged_memory_is_forgotten(file, tmp_path, content):
    (tmp_path / "digests.json").write_text(content)
    assert file_digests([file], tmp_path) == [sha256(file)]


def test_a_folder_that_cannot_be_written_does_no_harm(file, tmp_path):
    (tmp_path / "taken").write_text("a file")
    assert file_digests([file], tmp_path / "taken") == [sha256(file)]
