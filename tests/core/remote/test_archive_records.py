from dataclasses import replace

import pytest

from mocapact_cli.core.remote.archive_records import ArchiveRecords, Done, Member, Part, unpacked
from mocapact_cli.core.remote.files import Checksum, RemoteFile
from mocapact_cli.core.remote.gzip_stream import Point

FILE = RemoteFile("all/small_1.tar.gz", 1000, '"v1"', Checksum("sha256", "ab"))
MEMBERS = [Member(0, 512, 10, 1024, "file", "a\ud800"), Member(1024, 1536, 0, 1536, "link", "b")]
POINTS = [Point(100 * i, 1000 * i, True, i, 7 * i, 900 * i, bytes([i]) * 300) for i in range(1, 6)]


def filled(folder, file=FILE):
    with ArchiveRecords(folder, file) as records:
        for record in (*MEMBERS, Done(0, "a", 10, 123, 456), Part(1024, "b", 7, 8)):
            records.add(record)
        for point in POINTS:
            records.add_point(point)
        records.add_end()
    return records


def test_what_was_added_is_read(tmp_path):
    filled(tmp_path)
    records = ArchiveRecords(tmp_path, FILE)
    assert records.members == MEMBERS
    assert records.done == {0: Done(0, "a", 10, 123, 456)}
    assert records.parts == {1024: Part(1024, "b", 7, 8)}
    assert records.ended
    assert [unpacked(point) for point in records.points] == POINTS


@pytest.mark.parametrize(("offset", "found"), [(0, 0), (999, 0), (1000, 1), (2999, 2), (10_000, 5)])
def test_the_nearest_point_is_at_or_before_the_offset(tmp_path, offset, found):
    assert unpacked(filled(tmp_path).nearest(offset)) == [Point(), *POINTS][found]


@pytest.mark.parametrize(
    "other",
    [{"size": 1001}, {"version": '"v2"'}, {"checksum": Checksum("sha256", "cd")}, {"name": "all/small_2.tar.gz"}],
)
def test_another_version_begins_with_nothing_and_ends_with_its_own(tmp_path, other):
    filled(tmp_path)
    changed = replace(FILE, **other)
    with ArchiveRecords(tmp_path, changed) as records:
        assert (records.members, records.points, records.ended) == ([], [], False)
        records.add(MEMBERS[0])
    again = ArchiveRecords(tmp_path, changed)
    assert (again.members, again.points, again.ended) == (MEMBERS[:1], [], False)


def test_looking_at_records_of_another_version_keeps_them(tmp_path):
    filled(tmp_path)
    ArchiveRecords(tmp_path, replace(FILE, version="other"))
    assert ArchiveRecords(tmp_path, FILE).members == MEMBERS


def test_what_a_source_does_not_say_does_not_count_as_a_change(tmp_path):
    filled(tmp_path)
    assert ArchiveRecords(tmp_path, RemoteFile(FILE.name, FILE.size)).members == MEMBERS


def test_looking_makes_nothing(tmp_path):
    ArchiveRecords(tmp_path, FILE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["journal.jsonl", "points"])
def test_a_torn_end_is_dropped_wherever_it_is_torn(tmp_path, name):
    whole = (filled(tmp_path).folder / name).read_bytes()
    for size in range(0, len(whole), 17):
        (filled(tmp_path).folder / name).write_bytes(whole[:size])
        with ArchiveRecords(tmp_path, FILE) as records:
            before = (records.members, records.points)
            records.add(Member(5000, 5512, 1, 6144, "file", "new"))
            records.add_point(Point(9000, 90_000))
        again = ArchiveRecords(tmp_path, FILE)
        assert again.members == before[0]
        assert again.members[-1].name == "new"
        assert again.points == before[1]
        assert again.points[-1].compressed == 9000
        again.forget()


@pytest.mark.parametrize("name", ["journal.jsonl", "points"])
def test_damaged_records_are_not_used(tmp_path, name):
    path = filled(tmp_path).folder / name
    path.write_bytes(path.read_bytes()[:90] + bytes(200))
    records = ArchiveRecords(tmp_path, FILE)
    assert len(records.members if name == "journal.jsonl" else records.points) < 2


def test_points_are_kept_in_order_once(tmp_path):
    with filled(tmp_path) as records:
        for point in POINTS:
            records.add_point(point)
        assert len(records.points) == len(POINTS)


def test_forgotten_records_are_gone(tmp_path):
    filled(tmp_path).forget()
    assert ArchiveRecords(tmp_path, FILE).members == []
    assert not list((tmp_path / ".archives").iterdir())
