import errno
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocapact_cli.core.errors import RunError
from mocapact_cli.core.remote import partial as partial_module
from mocapact_cli.core.remote.files import Checksum, RemoteFile
from mocapact_cli.core.remote.partial import AbandonedError, PartialFile, same_content

FILE = RemoteFile("data/a", 10, '"one"')


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "a"


@pytest.fixture
def take_up(destination):
    """Opens the partial file of the destination, as another process would."""
    opened = []

    def take_up(file=FILE, **options):
        opened.append(PartialFile(destination, file, **options))
        return opened[-1]

    yield take_up
    for partial in opened:
        partial.release()


def sidecar(destination):
    return destination.with_name(".a.partial.json")


def test_the_sidecar_is_there_before_the_first_byte(destination, take_up):
    take_up()
    assert json.loads(sidecar(destination).read_text()) == {
        "format": 1,
        "name": "data/a",
        "size": 10,
        "version": '"one"',
        "checksum": None,
        "mismatched": False,
        "finished": False,
        "done": [],
    }


def test_what_was_saved_is_there_for_the_next_process(take_up):
    first = take_up()
    assert first.write([b"cd", b"e"], 2) == 3
    assert first.write([b"de"], 3) == 0
    first.close()
    second = take_up()
    assert (second.resumed, second.missing(), second.prefix) == (3, [(0, 2), (5, 10)], 0)
    assert b"".join(second.read(2, 5)) == b"cde"


def test_bytes_are_named_only_after_they_were_flushed(take_up, destination, monkeypatch):
    partial = take_up()
    partial.write([b"abc"], 0)

    def fail(descriptor):
        assert flushed(destination) == []
        raise OSError(errno.EIO, "the disk is dying")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="dying") as caught:
        partial.save()
    assert caught.value.filename == str(destination)
    monkeypatch.undo()
    # The system may call a second flush good though the bytes are lost.
    partial.close()
    assert flushed(destination) == []


def abandoned_by_a_kill(take_up, monkeypatch):
    """Bytes that no one has flushed."""
    partial = take_up()
    monkeypatch.setattr(os, "fsync", lambda descriptor: pytest.fail("flushed"))
    partial.write([b"abc"], 4)
    monkeypatch.undo()


def test_bytes_that_were_not_flushed_outlive_the_process(take_up, monkeypatch):
    abandoned_by_a_kill(take_up, monkeypatch)
    again = take_up()
    assert again.missing() == [(0, 4), (7, 10)]
    assert b"".join(again.read(4, 7)) == b"abc"


def test_but_not_the_machine(take_up, monkeypatch):
    abandoned_by_a_kill(take_up, monkeypatch)
    monkeypatch.setattr(partial_module, "boot_id", lambda: "another one")
    assert take_up().resumed == 0


@pytest.mark.parametrize("line", ["", "{", '{"boot": "x"}', "[]", '{"boot": "BOOT", "written": [[5, 1]]}', "\0\0"])
def test_a_damaged_line_below_the_first_is_passed_over(take_up, destination, monkeypatch, line):
    first = take_up()
    first.write([b"ab"], 0)
    first.close()
    with sidecar(destination).open("a") as stream:
        stream.write(line.replace("BOOT", partial_module.boot_id() or "") + "\n")
    abandoned_by_a_kill(take_up, monkeypatch)
    assert take_up().missing() == [(2, 4), (7, 10)]


def flushed(destination):
    return json.loads(sidecar(destination).read_text().splitlines()[0])["done"]


def test_it_is_saved_now_and_then(take_up, destination):
    now = [0.0]
    partial = take_up(clock=lambda: now[0])
    partial.write([b"a"], 0)
    assert flushed(destination) == []
    now[0] = 1.5
    partial.write([b"b"], 1)
    assert flushed(destination) == [[0, 2]]


@pytest.mark.parametrize(
    "other",
    [
        RemoteFile("data/a", 10, '"two"'),
        RemoteFile("data/a", 11, '"one"'),
        RemoteFile("data/a", 10, None),
        RemoteFile("data/a", None, '"one"'),
    ],
)
def test_another_version_begins_anew(take_up, destination, other):
    first = take_up()
    first.write([b"abcde"], 0)
    first.close()
    second = take_up(other)
    assert second.resumed == 0
    assert destination.with_name(".a.partial").read_bytes() == b""


SIDECARS = ["", "{", "null", "[]", '{"format": 1}', '{"format": 2}', "[" * 100_000]


@pytest.mark.parametrize("content", SIDECARS)
def test_a_damaged_sidecar_begins_anew(take_up, destination, content):
    first = take_up()
    first.write([b"abcde"], 0)
    first.close()
    sidecar(destination).write_text(content)
    assert take_up().resumed == 0


@pytest.mark.parametrize("done", [[[3, 1]], [[-4, 2]], [["a", "b"]], [1], "x", None, [[0, 5, 9]]])
def test_ranges_that_make_no_sense_begin_anew(take_up, destination, done):
    take_up().close()
    sidecar(destination).write_text(json.dumps(json.loads(sidecar(destination).read_text()) | {"done": done}))
    assert take_up().resumed == 0


def test_bytes_that_are_named_but_not_there_come_again(take_up, destination):
    first = take_up()
    first.write([b"0123456789"], 0)
    first.close()
    os.truncate(destination.with_name(".a.partial"), 6)
    assert take_up().missing() == [(6, 10)]


def test_a_partial_file_that_is_gone_begins_anew(take_up, destination):
    first = take_up()
    first.write([b"0123"], 0)
    first.close()
    destination.with_name(".a.partial").unlink()
    assert take_up().resumed == 0


def test_nothing_is_added_after_it_was_closed_or_abandoned(take_up):
    first = take_up()
    first.close()
    with pytest.raises(AbandonedError):
        first.write([b"a"], 0)
    second = take_up()
    second.abandon()
    with pytest.raises(AbandonedError):
        second.write([b"a"], 0)
    with pytest.raises(AbandonedError):
        second.finish(lambda path: None)


def test_finishing_puts_the_file_in_place_and_leaves_nothing_else(take_up, destination):
    destination.write_bytes(b"the old one")
    partial = take_up()
    partial.write([b"0123456789"], 0)
    seen = []
    partial.finish(lambda path: seen.append(path.read_bytes()))
    assert seen == [b"0123456789"]
    assert [path.name for path in destination.parent.iterdir()] == ["a"]


def test_its_mode_is_the_usual_one(take_up, destination):
    umask = os.umask(0o027)
    try:
        partial = take_up()
        partial.finish(lambda path: None)
    finally:
        os.umask(umask)
    assert destination.stat().st_mode & 0o777 == 0o640


def test_a_full_disk_keeps_what_is_there(small_disk):
    disk = small_disk(1024)
    file = RemoteFile("a", 4 << 20, '"one"')
    partial = PartialFile(disk / "a", file)
    position = 0
    with pytest.raises(RunError, match="the disk is full"):
        while True:
            position += partial.write([b"x" * 50_000], position)
    partial.close()
    partial.release()
    again = PartialFile(disk / "a", file)
    found = b"".join(again.read(0, again.resumed))
    again.release()
    # Its end made room for the note.
    assert 700_000 < again.resumed <= position
    assert found == b"x" * again.resumed


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30)), max_size=15), st.randoms())
def test_any_order_of_writes_and_restarts_gives_the_content(tmp_path_factory, writes, chance):
    content = bytes(range(70))
    destination = tmp_path_factory.mktemp("partial") / "a"
    file, partial, expected = RemoteFile("a", 70, '"one"'), None, set()
    for start, length in writes:
        partial = partial or PartialFile(destination, file)
        piece, cut = content[start : start + length], chance.randint(0, length)
        new = partial.write([piece[:cut], piece[cut:]], start)
        assert new == len(set(range(start, start + length)) - expected)
        expected |= set(range(start, start + length))
        if chance.random() < 0.3:
            partial.close()
            partial.release()
            partial = None
    partial = partial or PartialFile(destination, file)
    for start, stop in partial.missing():
        assert expected.isdisjoint(range(start, stop))
        partial.write([content[start:stop]], start)
    partial.finish(lambda path: None)
    partial.release()
    assert destination.read_bytes() == content


MD5 = Checksum("md5", "00" * 16)
OTHER = Checksum("md5", "11" * 16)
SHA = Checksum("sha256", "00" * 32)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((3, "a", None), (3, "a", None), True),
        ((3, "a", None), (3, "b", None), False),
        ((3, None, None), (3, None, None), False),
        ((None, "a", None), (None, "a", None), False),
        ((3, "a", MD5), (3, "b", MD5), True),
        ((3, "a", MD5), (3, "a", OTHER), False),
        ((3, "a", MD5), (3, "a", SHA), True),
        ((3, "a", MD5), (4, "a", MD5), False),
    ],
)
def test_what_is_the_same_for_sure(one, other, same):
    assert same_content(RemoteFile("a", *one), RemoteFile("a", *other)) == same
