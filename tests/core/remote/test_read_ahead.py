import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from http_server import Fault, Server
from tar_archives import content

from mocapact_cli.core.errors import RunError
from mocapact_cli.core.remote.files import ChangedError, RemoteFile
from mocapact_cli.core.remote.http import HttpSource
from mocapact_cli.core.remote.read_ahead import LARGEST, ReadAhead
from mocapact_cli.core.remote.retries import Retries

DATA = content(2_000_000)
QUICK = Retries(sleep=lambda _: None)


@pytest.fixture
def file(server: Server) -> RemoteFile:
    server.add("f", DATA)
    return HttpSource(server.url).stat("f")


def ahead(server, file, start=0, *, jobs=3, smallest=10_000, retries=QUICK):
    return ReadAhead(HttpSource(server.url), file, start, jobs=jobs, retries=retries, smallest=smallest)


@pytest.mark.parametrize("start", [0, 1, 999_999, len(DATA) - 1, len(DATA)])
@pytest.mark.parametrize("jobs", [1, 4])
def test_the_bytes_come_in_order(server, file, start, jobs):
    with ahead(server, file, start, jobs=jobs) as reader:
        assert b"".join(reader.pieces()) == DATA[start:]
        assert reader.received == len(DATA) - start


def test_connections_work_at_once(server, file):
    together = threading.Barrier(3, timeout=20)
    server.on_request = lambda method, _: together.wait() if len(server.asked("GET")) <= 3 else None
    with ahead(server, file) as reader:
        assert b"".join(reader.pieces()) == DATA


def test_dropped_connections_go_on_where_they_dropped(server, file):
    server.faults.extend(Fault(cut=cut) for cut in (0, 1, 5000, 20_000, 333) * 4)
    server.faults.extend(Fault(status=503, headers={"Retry-After": "1"}) for _ in range(3))
    with ahead(server, file) as reader:
        assert b"".join(reader.pieces()) == DATA
    assert not server.faults
    assert server.served < len(DATA) * 1.1


def test_a_source_without_ranges_is_read_over_one_connection(server, file):
    server.always = Fault(ignore_range=True)
    server.faults.extend([Fault(ignore_range=True), Fault(ignore_range=True), Fault(ignore_range=True, cut=500_000)])
    with ahead(server, file, 1000) as reader:
        assert b"".join(reader.pieces()) == DATA[1000:]


def test_a_file_of_unknown_size_is_read_to_its_end(server, file):
    server.faults.append(Fault(cut=100_000))
    with ahead(server, replace(file, size=None), 77) as reader:
        assert b"".join(reader.pieces()) == DATA[77:]


def test_a_changed_file_is_said_to_be_changed(server, file):
    def change(_method: str, _path: str) -> None:
        if len(server.asked("GET")) == 10:
            server.add("f", DATA[::-1])

    server.on_request = change
    with ahead(server, file) as reader, pytest.raises(ChangedError):
        b"".join(reader.pieces())


def test_a_source_that_stays_away_is_given_up(server, file):
    server.always = Fault(status=503)
    with ahead(server, file) as reader, pytest.raises(RunError, match="given up"):
        b"".join(reader.pieces())


class Endless:
    """A source that never runs out, and counts."""

    label = "endless"

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []

    def read(self, file: RemoteFile, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        self.ranges.append((start, stop))
        yield bytes(stop - start)


def test_little_is_asked_for_ahead_of_a_slow_reader():
    source, read = Endless(), 0
    with ReadAhead(source, RemoteFile("f", 1 << 40), 0, jobs=4, retries=QUICK, smallest=1000) as reader:
        for piece in reader.pieces():
            read += len(piece)
            assert reader.asked <= read + max(5 * 1000, 5 * min(read // 8, LARGEST))
            if read > 40 * LARGEST:
                break
    assert max(stop - start for start, stop in source.ranges) == LARGEST
    asked = len(source.ranges)
    assert len(source.ranges) == asked
