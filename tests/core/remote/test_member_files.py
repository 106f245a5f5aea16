import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.remote.archive_records import ArchiveRecords, Member
from mocapact_cli.core.remote.files import RemoteFile
from mocapact_cli.core.remote.member_files import MemberFile, check_name, is_done, target_path
from mocapact_cli.core.remote.partial import partial_path

FILE = RemoteFile("a.tar.gz", 1000, "v")
MEMBER = Member(0, 512, 6, 1024, "file", "x/y")

HOSTILE = [
    "",
    "/a",
    "../a",
    "a/../../b",
    "a/..",
    "a//b",
    "a/./b",
    "C:/a",
    "c:a",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\x1b[2J",
    "\udcff",
]


@pytest.mark.parametrize("name", [*HOSTILE, "a/" + "b" * 300])
def test_a_hostile_name_is_refused(name):
    with pytest.raises(InvalidInputError, match="name that is refused"):
        check_name(name)


@pytest.mark.parametrize("name", [".archives/a/journal.jsonl", "a/.archives/b", ".a.partial"])
def test_names_of_our_own_are_refused(tmp_path, name):
    with pytest.raises(InvalidInputError, match="uses itself"):
        target_path(tmp_path, name)


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(codec="utf-8") | st.sampled_from("/.\\:~"), max_size=30))
def test_a_name_leads_nowhere_else(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp()
    try:
        path = target_path(folder, name)
    except InvalidInputError:
        return
    assert os.path.normpath(path) == str(path)
    assert folder in path.parents


@pytest.mark.parametrize("place", ["link/x", "file/x", "folder", "dangling", "linked"])
def test_what_is_in_the_way_stays(tmp_path, place):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    outside.mkdir()
    (inside / "folder").mkdir(parents=True)
    (inside / "link").symlink_to(outside)
    (inside / "file").write_text("mine")
    (inside / "dangling").symlink_to(outside / "new")
    (inside / "linked").symlink_to(inside / "file")
    with pytest.raises(InvalidInputError, match="is in the way"):
        target_path(inside, place)
    assert not list(outside.iterdir())


def write(path, records, *pieces):
    with MemberFile(path, MEMBER, "x/y", records) as output:
        written = output.written
        for piece in pieces:
            output.write(piece)
    return written


def test_a_file_gets_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "x" / "y"
    with ArchiveRecords(tmp_path, FILE) as records:
        with MemberFile(path, MEMBER, "x/y", records) as output:
            output.write(b"abc")
            assert not path.exists()
            output.write(b"def")
        assert path.read_bytes() == b"abcdef"
        assert not partial_path(path).exists()
        assert is_done(path, records.done[0])
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def interrupt(path, folder):
    records = ArchiveRecords(folder, FILE)
    with records, pytest.raises(KeyboardInterrupt), MemberFile(path, MEMBER, "x/y", records) as output:
        output.write(b"abcd")
        raise KeyboardInterrupt


def test_an_interrupted_file_goes_on(tmp_path):
    path = tmp_path / "x" / "y"
    interrupt(path, tmp_path)
    with ArchiveRecords(tmp_path, FILE) as records:
        assert not path.exists()
        assert write(path, records, b"ef") == 4
        assert path.read_bytes() == b"abcdef"
        os.utime(path, (1, 1))
        assert is_done(path, records.done[0])


@pytest.mark.parametrize("left", [b"ab", None])
def test_an_interrupted_file_that_has_lost_bytes_begins_anew(tmp_path, left):
    path = tmp_path / "x" / "y"
    interrupt(path, tmp_path)
    with ArchiveRecords(tmp_path, FILE) as records:
        partial_path(path).unlink() if left is None else partial_path(path).write_bytes(left)
        assert write(path, records, b"abcdef") == 0
        assert path.read_bytes() == b"abcdef"


def test_a_link_at_the_partial_name_is_not_followed(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "mine").write_text("mine")
    partial_path(tmp_path / "x" / "y").symlink_to(tmp_path / "mine")
    with ArchiveRecords(tmp_path, FILE) as records:
        write(tmp_path / "x" / "y", records, b"abcdef")
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_file_counts_as_done_by_its_content(tmp_path):
    path = tmp_path / "x" / "y"
    with ArchiveRecords(tmp_path, FILE) as records:
        write(path, records, b"abcdef")
        done = records.done[0]
        os.utime(path, (1, 1))
        assert is_done(path, done)
        path.write_bytes(b"abcdeX")
        assert not is_done(path, done)
        path.write_bytes(b"abc")
        assert not is_done(path, done)
        path.unlink()
        assert not is_done(path, done)
        assert not is_done(path, None)


def test_a_file_whose_process_died_before_the_last_step_gets_its_name(tmp_path):
    path = tmp_path / "x" / "y"
    with ArchiveRecords(tmp_path, FILE) as records:
        write(path, records, b"abcdef")
        path.rename(partial_path(path))
        assert is_done(path, records.done[0])
    assert path.read_bytes() == b"abcdef"


@pytest.mark.parametrize("version", ["v", "other"])
def test_what_is_half_written_goes_with_the_records(tmp_path, version):
    path = tmp_path / "x" / "y"
    interrupt(path, tmp_path)
    assert partial_path(path).exists()
    with ArchiveRecords(tmp_path, replace(FILE, version=version)) as records:
        if version == "v":
            records.forget()
        else:
            records.add(MEMBER)
    assert not partial_path(path).exists()
