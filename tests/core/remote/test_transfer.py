"""Whole transfers from a server that fails as it is told to."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import random
import threading
import traceback

import pytest
from http_server import Fault, Server

from mocapact_cli.core.errors import AccessError, InvalidInputError, NotFoundError, RunError, UsageError
from mocapact_cli.core.progress import NullProgress, NullTask
from mocapact_cli.core.remote import download
from mocapact_cli.core.remote.files import Checksum, RangeUnsupportedError, RemoteFile, TransientError
from mocapact_cli.core.remote.folder import locked
from mocapact_cli.core.remote.http import HttpSource
from mocapact_cli.core.remote.retries import Retries
from mocapact_cli.core.remote.transfer import fetch, fetch_all

CONTENT = random.Random(0).randbytes(1_500_000)
OTHER = random.Random(1).randbytes(1_400_000)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Files small enough for a test come in many pieces."""
    monkeypatch.setattr(download, "_SHORTEST_PIECE", 1 << 16)


class Listener(NullProgress):
    """Keeps what it is told."""

    def __init__(self):
        self.messages, self.bars = [], {}

    def message(self, text):
        self.messages.append(text)

    @contextlib.contextmanager
    def task(self, description, total=None, unit="it"):
        self.bars[description] = {"completed": 0.0, "total": total}

        class Bar(NullTask):
            def update(bar, completed=None, total=None, description_=None, **fields):
                bar_ = self.bars[description]
                bar_["completed"] = bar_["completed"] if completed is None else completed
                bar_["total"] = bar_["total"] if total is None else total

        yield Bar()


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def get(server, tmp_path, listener, waits):
    """Fetches into a folder, with waits that take no time."""

    def get(*names, source=None, folder=tmp_path / "data", **options):
        files = [name if isinstance(name, RemoteFile) else RemoteFile(name) for name in names]
        options = {"jobs": 4, "progress": listener, "retries": Retries(sleep=waits.append)} | options
        return fetch_all(source or HttpSource(server.url, "the mirror"), files, folder, **options)

    return get


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "a"


def left_over(folder):
    return sorted(path.name for path in folder.iterdir() if "partial" in path.name)


def gets(server: Server, name: str):
    return [request for request in server.asked() if request.path.endswith(name)]


def interrupted_once(server, get, listener):
    """Leave a part of the file behind."""
    server.always = Fault(cut=40_000)
    with pytest.raises(RunError, match="given up after"):
        get("a", retries=Retries(tries=1))
    server.always = None
    listener.messages.clear()
    return server.served


def test_a_large_file_comes_over_several_connections(server, get, path, listener):
    served, together, most = server.add("a", CONTENT), threading.Barrier(4, timeout=10), []
    server.on_request = lambda method, _: method == "GET" and len(most) < 4 and (most.append(1), together.wait())
    (fetched,) = get("a")
    assert path.read_bytes() == CONTENT
    assert (fetched.path, fetched.received, fetched.resumed) == (path, len(CONTENT), 0)
    assert fetched.file == RemoteFile("a", len(CONTENT), served.etag)
    assert server.served == len(CONTENT)
    assert left_over(path.parent) == []
    assert listener.bars["Fetching a"] == {"completed": pytest.approx(1.5), "total": pytest.approx(1.5)}


def test_several_files_come_at_once_and_in_order(server, get, tmp_path, listener):
    contents = {f"x/{n % 3}/{n}.bin": CONTENT[: n * 7001] for n in range(30)}
    for name, content in contents.items():
        server.add(name, content)
    fetched = get(*contents, prefix="x/", folder=tmp_path / "new" / "data")
    assert [one.file.name for one in fetched] == list(contents)
    for one, (name, content) in zip(fetched, contents.items(), strict=True):
        assert one.path == tmp_path / "new" / "data" / name.removeprefix("x/")
        assert one.path.read_bytes() == content
    assert listener.bars["Fetching 30 files"]["completed"] == pytest.approx(server.served / 1e6)
    assert listener.bars["x/2/29.bin"]["total"] == pytest.approx(29 * 7001 / 1e6)


def test_what_a_list_says_is_expected_from_the_start(server, get, listener):
    for name in "abc":
        server.add(name, CONTENT)
    get("a")
    seen = []
    server.on_request = lambda *_: seen.append(listener.bars["Fetching 3 files"]["total"])
    get(*(RemoteFile(name, len(CONTENT), server.files[name].etag) for name in "abc"))
    assert set(seen) == {3.0}
    assert listener.bars["Fetching 3 files"] == {"completed": pytest.approx(3.0), "total": 3.0}


def test_one_file_goes_to_any_name(server, tmp_path):
    server.add("deep/a", CONTENT)
    fetched = fetch(HttpSource(server.url), RemoteFile("deep/a"), tmp_path / "b.bin", jobs=2)
    assert fetched.path.read_bytes() == CONTENT
    assert fetched.path.name == "b.bin"


def test_what_is_complete_is_never_fetched_again(server, get, path):
    server.add("a", CONTENT)
    get("a", "a")
    before = len(server.asked())
    (again,) = get("a")
    assert (again.received, len(server.asked())) == (0, before)
    # A list that says all there is to know saves even the question.
    asked = len(server.requests)
    get(again.file)
    assert len(server.requests) == asked


def test_a_file_that_is_there_with_the_right_checksum_is_not_fetched(server, get, path):
    server.add("a", CONTENT)
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    (fetched,) = get(RemoteFile("a", len(CONTENT), '"x"', md5(CONTENT)))
    assert (fetched.received, fetched.verified, server.asked()) == (0, True, [])


def test_a_new_version_replaces_the_complete_one(server, get, path):
    server.add("a", CONTENT)
    get("a")
    server.add("a", OTHER)
    get("a")
    assert path.read_bytes() == OTHER


@pytest.mark.parametrize("seed", range(4))
def test_connections_cut_at_random_bytes_cost_nothing(server, get, path, seed, waits):
    server.add("a", CONTENT)
    chance = random.Random(seed)
    server.faults.extend(Fault(cut=chance.choice([0, 1, chance.randint(0, 70_000)])) for _ in range(30))
    get("a", retries=Retries(tries=40, sleep=waits.append))
    assert path.read_bytes() == CONTENT
    assert server.served == len(CONTENT)
    assert len(waits) >= 20


def test_a_transfer_that_was_given_up_goes_on_where_it_was(server, get, path, listener):
    server.add("a", CONTENT)
    before = interrupted_once(server, get, listener)
    assert 0 < before < len(CONTENT)
    (fetched,) = get("a")
    assert path.read_bytes() == CONTENT
    assert fetched.resumed == before
    assert server.served == len(CONTENT)
    assert listener.messages == [f"a: going on after {before / 1000:.3g} kB of 1.5 MB."]


def test_busy_servers_get_the_time_that_they_ask_for(server, get, path, waits):
    server.add("a", CONTENT)
    server.faults.extend(Fault(status=503, headers={"Retry-After": "7"}, methods=("GET", "HEAD")) for _ in range(5))
    server.faults.extend(Fault(status=429, headers={"Retry-After": "9"}) for _ in range(3))
    get("a")
    assert path.read_bytes() == CONTENT
    assert sorted(waits) == [7.0] * 5 + [9.0] * 3


def test_a_storm_that_does_not_end_is_given_up_in_one_line(server, get, path, listener):
    server.add("a", CONTENT)
    server.always = Fault(status=503, headers={"Retry-After": "7"})
    with pytest.raises(RunError, match=r"^The mirror answers 503 for a; given up after 8 attempts\.$"):
        get("a", jobs=1)
    assert listener.messages[0] == "The mirror answers 503 for a; trying again in 7 s."
    assert len(listener.messages) == 1


def test_ranges_that_are_not_what_was_asked_for_are_not_believed(server, get, path):
    server.add("a", CONTENT)
    server.faults.extend([Fault(shift=1), Fault(shift=5000), Fault(headers={"Content-Range": "bytes 0-1/x"})])
    get("a")
    assert path.read_bytes() == CONTENT


def test_a_source_without_ranges_is_read_in_one_stream(server, get, path, waits):
    server.add("a", CONTENT)
    server.always = Fault(ignore_range=True)
    server.faults.extend(Fault(ignore_range=True, cut=cut) for cut in (500_000, 100, 1_499_999))
    get("a", checksum="fail")
    assert path.read_bytes() == CONTENT


def test_a_body_that_ends_early_is_fetched_to_its_end(server, get, path):
    server.add("a", CONTENT)
    server.faults.extend(Fault(no_length=True, cut=10_000) for _ in range(5))
    get("a")
    assert path.read_bytes() == CONTENT


def test_a_file_that_changes_meanwhile_is_fetched_anew_and_that_is_said(server, get, path, listener):
    server.add("a", CONTENT)
    seen = []

    def change(method, _):
        seen.append(method)
        if seen.count("GET") == 9:
            server.add("a", OTHER)

    server.on_request = change
    (fetched,) = get("a")
    assert path.read_bytes() == OTHER
    assert fetched.file.size == len(OTHER)
    assert listener.messages == ["a has changed at the mirror: it is fetched anew."]
    assert listener.bars["Fetching a"] == {"completed": pytest.approx(1.4), "total": pytest.approx(1.4)}
    assert left_over(path.parent) == []


@pytest.mark.parametrize("how", ["etag", "date", "nothing"])
def test_a_file_that_changed_since_the_last_call_is_fetched_anew(server, get, path, listener, how):
    version = {
        "etag": [{}, {}],
        "date": [{"etag": "", "modified": f"Wed, 01 Jul 2026 10:00:0{second} GMT"} for second in (1, 2)],
        "nothing": [{"etag": ""}, {"etag": ""}],
    }[how]
    server.add("a", CONTENT, **version[0])
    interrupted_once(server, get, listener)
    server.add("a", OTHER, **version[1])
    get("a")
    assert path.read_bytes() == OTHER
    assert listener.messages == ["a has changed at the mirror: it is fetched anew."]


def test_a_date_is_enough_to_go_on(server, get, path, listener):
    server.add("a", CONTENT, etag="", modified="Wed, 01 Jul 2026 10:00:00 GMT")
    before = interrupted_once(server, get, listener)
    (fetched,) = get("a")
    assert (path.read_bytes(), fetched.resumed) == (CONTENT, before)


def test_a_file_that_never_holds_still_is_given_up(server, get):
    counter = iter(range(10_000))
    server.on_request = lambda *_: server.add("a", CONTENT, etag=f'"{next(counter)}"')
    with pytest.raises(RunError, match="keeps changing"):
        get("a")


@pytest.mark.parametrize(("status", "kind"), [(403, AccessError), (404, NotFoundError), (418, RunError)])
def test_what_waiting_does_not_mend_ends_it_at_once_and_keeps_what_came(server, get, path, waits, status, kind):
    server.add("a", CONTENT)
    server.on_request = lambda method, _: (
        len(server.asked()) == 6 and server.faults.append(Fault(status=status, methods=("GET",)))
    )
    with pytest.raises(kind):
        get("a")
    assert waits == []
    server.on_request = lambda *_: None
    (fetched,) = get("a")
    assert fetched.resumed > 0
    assert path.read_bytes() == CONTENT


def md5(content):
    return Checksum("md5", hashlib.md5(content).hexdigest())


def with_md5(server, content, claimed):
    encoded = base64.b64encode(bytes.fromhex(md5(claimed).digest)).decode()
    server.add("a", content, headers={"Content-MD5": encoded})


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_checksums_are_compared(server, get, path, kind, jobs, listener):
    checksum = Checksum(kind, hashlib.new(kind, CONTENT).hexdigest())
    server.add("a", CONTENT)
    interrupted_once(server, get, listener)
    (fetched,) = get(RemoteFile("a", len(CONTENT), None, checksum), jobs=jobs)
    assert fetched.verified
    assert path.read_bytes() == CONTENT


def test_a_wrong_checksum_refuses_the_file_and_the_next_call_fetches_it_anew(server, get, path):
    with_md5(server, OTHER, CONTENT)
    with pytest.raises(InvalidInputError, match="a is not what the mirror says"):
        get("a")
    assert not path.exists()
    with_md5(server, CONTENT, CONTENT)
    server.files["a"].etag = '"the same as before"'
    (fetched,) = get("a")
    assert fetched.verified
    assert path.read_bytes() == CONTENT


def test_a_wrong_checksum_is_not_forgotten(server, get, path):
    with_md5(server, OTHER, CONTENT)
    for round_ in range(2):
        with pytest.raises(InvalidInputError, match="checksum"):
            get("a")
        assert server.served == (round_ + 1) * len(OTHER)
    assert not path.exists()


@pytest.mark.parametrize("checksum", ["warn", "skip"])
def test_a_wrong_checksum_can_be_accepted_without_fetching_again(server, get, path, listener, checksum):
    with_md5(server, OTHER, CONTENT)
    with pytest.raises(InvalidInputError):
        get("a")
    listener.messages.clear()
    (fetched,) = get("a", checksum=checksum)
    assert path.read_bytes() == OTHER
    assert not fetched.verified
    assert server.served == len(OTHER)
    assert any("its checksum is another one; it is kept" in text for text in listener.messages) == (checksum == "warn")


def test_a_file_of_another_size_than_is_wanted_is_refused(server, get):
    server.add("a", OTHER)
    with pytest.raises(InvalidInputError, match=r"1,400,000 instead of 1,500,000 bytes"):
        get(RemoteFile("a", len(CONTENT), None, md5(CONTENT)))
    assert server.asked() == []


def test_a_second_transfer_into_the_folder_is_refused(server, get, path):
    server.add("a", CONTENT)
    with locked(path.parent), pytest.raises(RunError, match=f"Another process is fetching files into {path.parent}"):
        get("a")
    assert server.requests == []


def test_too_little_space_is_known_before_the_first_byte(server, get, path):
    with pytest.raises(RunError, match="still to come"):
        get(RemoteFile("a", 1 << 60, '"x"'), RemoteFile("b", 10, '"x"'))
    assert server.requests == []


def test_a_disk_that_fills_up_keeps_what_came(server, get, small_disk, monkeypatch):
    disk = small_disk(1024)
    server.add("a", CONTENT)
    monkeypatch.setattr(download, "check_space", lambda *_: None)
    with pytest.raises(RunError, match="the disk is full") as caught:
        get("a", folder=disk)
    assert "goes on from where it stopped" in caught.value.hint
    with pytest.raises(RunError, match="the disk is full"):
        get("a", folder=disk)
    # The second call has fetched no more than what the first one gave up for its note.
    assert server.served < 1_048_576 + 4 * 1_000_000 / 2


@pytest.mark.parametrize("name", ["../a", "/a/../b", "x/.mocapact.lock"])
def test_names_that_lead_out_of_the_folder_are_refused(server, get, name):
    with pytest.raises(InvalidInputError, match="no safe name"):
        get(name)
    assert server.requests == []


def test_no_connections_are_none(get):
    with pytest.raises(UsageError, match="At least one"):
        get("a", jobs=0)


class Memory:
    """A source that may know neither sizes nor ranges, and drops its connections."""

    label = "memory"

    def __init__(self, content, *, ranges, cuts=()):
        self.content, self.ranges, self.cuts, self.starts = content, ranges, list(cuts), []

    def stat(self, name):
        return RemoteFile(name)

    def read(self, file, start=0, stop=None):
        self.starts.append(start)
        if start and not self.ranges:
            raise RangeUnsupportedError
        end = start + self.cuts.pop(0) if self.cuts else len(self.content)
        for place in range(start, end, 1000):
            yield self.content[place : min(place + 1000, end)]
        if end < len(self.content):
            raise TransientError("dropped")


@pytest.mark.parametrize(("ranges", "starts"), [(True, [0, 3000, 10_000]), (False, [0, 3000, 0, 0])])
def test_a_source_that_says_no_size_is_read_to_its_end(get, path, ranges, starts):
    source = Memory(CONTENT[:50_500], ranges=ranges, cuts=[3000, 7000])
    (fetched,) = get("a", source=source)
    assert path.read_bytes() == source.content
    assert fetched.file.size == 50_500
    assert source.starts == starts
    get("a", source=source)
    assert source.starts == starts


def test_nothing_that_is_shown_holds_a_secret(server, get, listener):
    server.add("a", CONTENT)
    source = HttpSource(
        server.url.replace("//", "//me:verysecret@") + "?sig=verysecret&se=2999-01-01",
        headers={"X-Api-Key": "verysecret"},
    )
    said = []
    for fault in (Fault(status=500), Fault(status=503, headers={"Retry-After": "3"}), Fault(status=403)):
        server.always = fault
        with pytest.raises((RunError, AccessError)) as caught:
            get("a", source=source)
        said += traceback.format_exception(caught.value)
    assert all("sig=verysecret" in request.path for request in server.requests)
    assert "verysecret" not in "".join(said + listener.messages) + str(listener.bars)


def test_nothing_that_is_written_holds_a_secret(server, get, path, listener):
    server.add("a", CONTENT)
    server.always = Fault(cut=40_000)
    with pytest.raises(RunError):
        get("a", source=HttpSource(f"{server.url}?sig=verysecret"), retries=Retries(tries=1))
    assert left_over(path.parent)
    for written in path.parent.iterdir():
        assert b"verysecret" not in written.read_bytes()
