"""Members out of archives behind a server that fails: everything arrives, once, and nothing else does."""

import contextlib
import random
import tarfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from http_server import Fault, Server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tar_archives import Entry, blocked, content, flushed, tar, zipped

from mocapact_cli.core.errors import InvalidInputError, NotFoundError, RunError
from mocapact_cli.core.remote import member_files
from mocapact_cli.core.remote.archives import Limits, extract, listing
from mocapact_cli.core.remote.files import Checksum
from mocapact_cli.core.remote.http import HttpSource
from mocapact_cli.core.remote.retries import Retries
from mocapact_cli.core.remote.wanted import Wanted

SPACING = 1 << 14
CLIPS = {f"clip_{index}.hdf5": content(30_000 + 5001 * index, index) for index in range(12)}
DATASET = tar((f"small/{name}", data) for name, data in CLIPS.items())
FORMS = {
    "one.tar.gz": zipped(DATASET),
    "blocked.tar.gz": blocked(DATASET, 20_000),
    "flushed.tgz": flushed(DATASET, 50_000),
    "plain.tar": DATASET,
}
ARCHIVE = FORMS["one.tar.gz"]


def clip(name):
    return name.removeprefix("small/") if name.startswith("small/") else None


ALL = Wanted(clip)


def only(*numbers):
    return Wanted(clip, {f"clip_{number}.hdf5": () for number in numbers})


class Said:
    """What was said in the course of it."""

    def __init__(self) -> None:
        from mocapact_cli.core.progress import NullProgress

        self.task = NullProgress().task
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def fetch(server, folder, wanted=ALL, *, name="one.tar.gz", file=None, jobs=2, **more):
    source = HttpSource(server.url)
    more.setdefault("retries", Retries(sleep=lambda _: None))
    return extract(source, file or source.stat(name), folder, wanted, jobs=jobs, spacing=SPACING, **more)


def written(folder: Path):
    """All files below a folder, the records left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".archives" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def server(server: Server) -> Server:
    for name, data in FORMS.items():
        server.add(name, data)
    return server


@pytest.mark.parametrize("name", FORMS)
def test_all_members_arrive_once(server, tmp_path, name):
    found = fetch(server, tmp_path, name=name)
    assert written(tmp_path) == CLIPS
    assert found.places == {place: len(data) for place, data in CLIPS.items()}
    assert set(found.written) == set(CLIPS)
    assert found.exhausted
    assert found.missing == ()
    assert server.served == found.received == len(FORMS[name])


@pytest.mark.parametrize("name", FORMS)
def test_reading_stops_when_everything_wanted_is_there(server, tmp_path, name):
    found = fetch(server, tmp_path, only(2, 0), name=name)
    assert written(tmp_path) == {place: CLIPS[place] for place in ("clip_0.hdf5", "clip_2.hdf5")}
    assert not found.exhausted
    assert found.received < len(FORMS[name]) // 2


@pytest.mark.parametrize("name", FORMS)
def test_a_second_call_reads_nothing_and_one_for_others_goes_to_them(server, tmp_path, name):
    fetch(server, tmp_path, name=name)
    before = server.served
    again = fetch(server, tmp_path, name=name)
    assert (again.received, again.written, server.served) == (0, (), before)
    for place in ("clip_10.hdf5", "clip_1.hdf5"):
        (tmp_path / place).unlink()
    found = fetch(server, tmp_path, name=name)
    assert set(found.written) == {"clip_1.hdf5", "clip_10.hdf5"}
    assert written(tmp_path) == CLIPS
    assert found.received < len(FORMS[name]) // 2


def test_what_has_been_passed_is_not_passed_again(server, tmp_path):
    first = fetch(server, tmp_path, only(3))
    rest = fetch(server, tmp_path, only(9))
    assert first.received + rest.received < len(ARCHIVE) * 1.3
    assert set(listing(tmp_path, first.archive)[0]) >= {f"small/clip_{number}.hdf5" for number in range(10)}
    assert not listing(tmp_path, first.archive)[1]


def test_a_file_that_was_changed_is_written_again(server, tmp_path):
    fetch(server, tmp_path)
    (tmp_path / "clip_4.hdf5").write_bytes(b"x" * len(CLIPS["clip_4.hdf5"]))
    assert fetch(server, tmp_path).written == ("clip_4.hdf5",)
    assert written(tmp_path) == CLIPS


def test_what_the_archive_lacks_is_named(server, tmp_path):
    found = fetch(server, tmp_path, Wanted(clip, {"clip_1.hdf5": (), "clip_99.hdf5": ()}))
    assert found.missing == ("clip_99.hdf5",)
    assert found.exhausted
    before = server.served
    assert fetch(server, tmp_path, Wanted(clip, {"clip_98.hdf5": ()})).missing == ("clip_98.hdf5",)
    assert server.served == before


@pytest.mark.parametrize("name", FORMS)
def test_dropped_connections_and_busy_servers_cost_little(server, tmp_path, name):
    chance = random.Random(1)
    server.faults.extend(Fault(cut=chance.randrange(40_000)) for _ in range(20))
    server.faults.extend(Fault(status=503) for _ in range(5))
    fetch(server, tmp_path, name=name)
    assert written(tmp_path) == CLIPS
    assert server.served < len(FORMS[name]) * 1.1 + 30_000


@pytest.mark.parametrize("name", FORMS)
def test_a_call_that_failed_is_taken_up(server, tmp_path, name):
    once = Retries(tries=1)
    served, calls = [], 0
    while not served or server.served:
        server.requests.clear()
        server.faults.append(Fault(cut=10_000 + 9973 * calls % 30_000))
        server.on_request = lambda *_: None if len(server.asked()) < 6 else server.faults.append(Fault(status=500))
        with contextlib.suppress(RunError):
            fetch(server, tmp_path, name=name, retries=once, jobs=1)
        served.append(server.served)
        calls += 1
        assert calls < 100
        server.faults.clear()
        if written(tmp_path) == CLIPS and not any(".partial" in place for place in written(tmp_path)):
            break
    assert calls > 5
    assert written(tmp_path) == CLIPS
    # Each call goes on at most three points, or what they are found in, before where the last one stopped.
    assert sum(served) < len(FORMS[name]) + calls * 3 * SPACING


def test_a_source_without_ranges_serves_as_well(server, tmp_path):
    server.always = Fault(ignore_range=True)
    fetch(server, tmp_path)
    assert written(tmp_path) == CLIPS


def test_a_changed_archive_begins_anew_and_says_so(server, tmp_path):
    other = {place: data[::-1] for place, data in CLIPS.items()}
    said = Said()

    def change(_method: str, _path: str) -> None:
        if len(server.asked("GET")) == 8:
            server.add("one.tar.gz", zipped(tar((f"small/{name}", data) for name, data in other.items())))

    server.on_request = change
    found = fetch(server, tmp_path, progress=said)
    assert written(tmp_path) == other
    assert found.archive.version == server.files["one.tar.gz"].etag
    assert said.messages == [f"one.tar.gz has changed at {server.url}: it begins anew."]


def test_an_archive_that_changed_between_calls_begins_anew(server, tmp_path):
    fetch(server, tmp_path, only(5))
    other = {place: data[::-1] for place, data in CLIPS.items()}
    server.add("one.tar.gz", zipped(tar((f"small/{name}", data) for name, data in other.items())))
    fetch(server, tmp_path)
    assert written(tmp_path) == other


def test_an_archive_that_keeps_changing_is_given_up(server, tmp_path):
    def change(method: str, _path: str) -> None:
        server.files["one.tar.gz"].etag += "x" if method == "GET" else ""
        server.files["one.tar.gz"].etag = f'"{len(server.requests)}"'

    server.on_request = change
    with pytest.raises(RunError, match="keeps changing"):
        fetch(server, tmp_path)


def test_an_archive_that_is_gone_is_not_found(server, tmp_path):
    file = HttpSource(server.url).stat("one.tar.gz")
    server.files.clear()
    with pytest.raises(NotFoundError):
        fetch(server, tmp_path, file=file)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.98])
def test_a_truncated_archive_is_damaged_and_keeps_what_is_whole(server, tmp_path, name, share):
    server.add(name, FORMS[name][: int(len(FORMS[name]) * share)])
    with pytest.raises(InvalidInputError, match=f"{name} at .* is damaged: it ends early") as caught:
        fetch(server, tmp_path, name=name)
    assert "again" in caught.value.hint
    kept = {place: data for place, data in written(tmp_path).items() if not place.startswith(".")}
    assert kept == {place: CLIPS[place] for place in kept}
    assert len(kept) >= int(10 * share)
    before = server.served
    with pytest.raises(InvalidInputError, match="is damaged"):
        fetch(server, tmp_path, name=name)
    assert server.served - before < 8 * SPACING


@pytest.mark.parametrize("place", range(5000, len(ARCHIVE), 200_001))
def test_damage_on_the_way_is_not_taken_for_the_archive(server, tmp_path, place):
    damaged = bytearray(ARCHIVE)
    damaged[place] ^= 0xFF
    served = server.files["one.tar.gz"]

    def swap(_method: str, _path: str) -> None:
        served.content = bytes(damaged) if server.served <= place else ARCHIVE

    server.on_request = swap
    fetch(server, tmp_path, jobs=1)
    assert server.served > place
    assert written(tmp_path) == CLIPS


def test_a_damaged_archive_is_damaged_twice(server, tmp_path):
    damaged = bytearray(ARCHIVE)
    damaged[len(ARCHIVE) // 2] ^= 0xFF
    server.add("one.tar.gz", bytes(damaged))
    with pytest.raises(InvalidInputError, match="is damaged"):
        fetch(server, tmp_path)
    assert server.served < len(ARCHIVE) * 2.1
    assert listing(tmp_path, HttpSource(server.url).stat("one.tar.gz")) == ({}, False)


@pytest.mark.parametrize("data", [b"<html>no</html>", b"PK\x03\x04" + bytes(600), zipped(b"<html>" * 200)])
def test_what_is_no_archive_is_said_to_be_none(server, tmp_path, data):
    server.add("one.tar.gz", data)
    with pytest.raises(InvalidInputError, match=r"is damaged: it is not a (gzip|tar) archive"):
        fetch(server, tmp_path)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
@pytest.mark.parametrize("what", ["fail", "warn", "skip"])
def test_the_checksum_of_the_whole_archive_is_verified(server, tmp_path, what, algorithm):
    file = replace(HttpSource(server.url).stat("one.tar.gz"), checksum=Checksum(algorithm, "0" * 64))
    said = Said()
    if what == "fail":
        with pytest.raises(InvalidInputError, match="does not match its checksum"):
            fetch(server, tmp_path, file=file)
        assert listing(tmp_path, file) == ({}, False)
    else:
        fetch(server, tmp_path, file=file, checksum=what, progress=said)
        assert bool(said.messages) == (what == "warn")


def test_a_right_checksum_is_right(server, tmp_path):
    checksum = Checksum("sha256", sha256(ARCHIVE).hexdigest())
    file = replace(HttpSource(server.url).stat("one.tar.gz"), checksum=checksum)
    assert fetch(server, tmp_path, file=file).exhausted


HOSTILE = {
    "parent": Entry("../evil.hdf5", b"x"),
    "absolute": Entry("/tmp/evil.hdf5", b"x"),
    "inside": Entry("small/../../evil.hdf5", b"x"),
    "drive": Entry("C:/evil.hdf5", b"x"),
    "backslash": Entry("small\\..\\..\\evil.hdf5", b"x"),
    "symlink": Entry("small/evil.hdf5", b"", tarfile.SYMTYPE, "/etc/passwd"),
    "hardlink": Entry("small/evil.hdf5", b"", tarfile.LNKTYPE, "small/clip_1.hdf5"),
    "fifo": Entry("small/evil.hdf5", b"", tarfile.FIFOTYPE),
    "device": Entry("small/evil.hdf5", b"", tarfile.CHRTYPE),
    "twice": Entry("small/clip_1.hdf5", b"other"),
    "case": Entry("small/CLIP_1.hdf5", b"other"),
    "below a file": Entry("small/clip_1.hdf5/x.hdf5", b"x"),
    "ours": Entry(".archives/x/journal.hdf5", b"x"),
}


def anything(name):
    return name.removeprefix("small/") if name.endswith("hdf5") else None


@pytest.mark.parametrize("entry", HOSTILE.values(), ids=HOSTILE)
def test_hostile_members_are_refused_where_wanted_and_skipped_where_not(server, tmp_path, entry):
    inside = tmp_path / "inside"
    members = [("small/clip_1.hdf5", b"one"), entry, ("small/clip_2.hdf5", b"two")]
    server.add("one.tar.gz", zipped(tar(members)))
    with pytest.raises(InvalidInputError, match=r"one\.tar\.gz at .*"):
        fetch(server, inside, Wanted(anything))
    assert written(tmp_path) == {"inside/clip_1.hdf5": b"one"}
    fetch(server, inside, Wanted({"small/clip_2.hdf5": "clip_2.hdf5"}.get))
    assert written(tmp_path) == {"inside/clip_1.hdf5": b"one", "inside/clip_2.hdf5": b"two"}


def test_a_link_planted_in_the_destination_is_not_followed(server, tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (inside / "small").symlink_to(outside)
    with pytest.raises(InvalidInputError, match="is in the way"):
        fetch(server, inside, Wanted(lambda name: name))
    assert not list(outside.iterdir())


@pytest.mark.parametrize("limits", [Limits(member=50_000), Limits(total=100_000), Limits(members=5), Limits(ratio=0)])
def test_limits_hold(server, tmp_path, limits):
    if limits.ratio == 0:
        server.add("one.tar.gz", zipped(tar([("small/a.hdf5", bytes(70_000_000))]), 1))
    with pytest.raises(InvalidInputError, match="refused"):
        fetch(server, tmp_path, limits=limits)


def test_a_header_that_lies_about_its_size_is_caught(server, tmp_path):
    info = tarfile.TarInfo("small/a.hdf5")
    info.size = 1 << 35
    server.add("one.tar.gz", zipped(info.tobuf(tarfile.GNU_FORMAT) + bytes(5000)))
    with pytest.raises(InvalidInputError, match="ends early"):
        fetch(server, tmp_path)
    info.size = 1 << 50
    server.add("one.tar.gz", zipped(info.tobuf(tarfile.GNU_FORMAT) + bytes(5000)))
    with pytest.raises(InvalidInputError, match="claims"):
        fetch(server, tmp_path)


def test_a_full_disk_is_named_and_loses_nothing(server, tmp_path, monkeypatch):
    real, room = member_files.MemberFile.write, [200_000]

    def write(self, piece):
        room[0] -= len(piece)
        if room[0] < 0:
            raise OSError(28, "No space left on device", str(self._path))
        real(self, piece)

    monkeypatch.setattr(member_files.MemberFile, "write", write)
    with pytest.raises(OSError, match=r"No space left on device: .*clip_"):
        fetch(server, tmp_path)
    monkeypatch.undo()
    before = server.served
    fetch(server, tmp_path)
    assert written(tmp_path) == CLIPS
    assert server.served < before + len(ARCHIVE)


EXPERT = ("clip_info.json", "eval_rsi/model/best_model.zip")


def experts(name):
    return name.removeprefix("experts/") if name.startswith("experts/") else None


def expert_members(*names, files=EXPERT):
    return [(f"experts/{name}/{file}", content(30_000, len(name + file))) for name in names for file in files]


def test_a_folder_is_complete_once_it_is_left(server, tmp_path):
    server.add("one.tar.gz", zipped(tar(expert_members(*(f"CMU_{number}-0-82" for number in range(30))))))
    found = fetch(server, tmp_path, Wanted(experts, {"CMU_3-0-82": ()}))
    assert set(written(tmp_path)) == {f"CMU_3-0-82/{file}" for file in EXPERT}
    assert found.missing == ()
    assert found.received < len(server.files["one.tar.gz"].content) // 2


def test_a_folder_whose_members_lie_apart_is_read_as_a_whole(server, tmp_path):
    names = [f"CMU_{number}-0-82" for number in range(10)]
    members = [member for file in EXPERT for member in expert_members(*names, files=[file])]
    server.add("one.tar.gz", zipped(tar(members)))
    found = fetch(server, tmp_path, Wanted(experts, {"CMU_3-0-82": EXPERT}))
    assert set(written(tmp_path)) == {f"CMU_3-0-82/{file}" for file in EXPERT}
    assert found.missing == ()
    assert not found.exhausted


def test_a_folder_that_lacks_a_file_is_missing(server, tmp_path):
    server.add("one.tar.gz", zipped(tar(expert_members("CMU_1-0-82", "CMU_2-0-82"))))
    found = fetch(server, tmp_path, Wanted(experts, {"CMU_1-0-82": ("eval_start/model/best_model.zip",)}))
    assert found.missing == ("CMU_1-0-82",)
    assert found.exhausted


NAMES = st.text(st.characters(codec="utf-8") | st.sampled_from("./\\~"), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NAMES.filter(lambda name: "\0" not in name), max_size=3))
def test_whatever_members_are_called_nothing_is_written_outside(server, tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("names")
    server.add("one.tar.gz", zipped(tar((name, b"x") for name in names)))
    with contextlib.suppress(InvalidInputError, OSError):
        fetch(server, folder / "inside", Wanted(lambda name: name), jobs=1)
    assert {path.name for path in folder.iterdir()} <= {"inside"}
