import gzip
import struct
from itertools import pairwise

import pytest
from tar_archives import blocked, content, flushed, zipped

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.remote.gzip_stream import DamagedError, GzipStream, Point

DATA = content(450_000)
STREAMS = {
    "one": zipped(DATA),
    "fast": zipped(DATA, 1),
    "stored": zipped(DATA, 0),
    "blocked": blocked(DATA, 30_000),
    "flushed": flushed(DATA, 100_000),
    "padded": zipped(DATA[:250_000]) + bytes(700) + zipped(DATA[250_000:]) + bytes(1000),
}


BEGINNING = Point()


def inflate(stream, point=BEGINNING, *, spacing=25_000, ratio=100, chunk=10_007):
    points = []
    chunks = (stream[begin : begin + chunk] for begin in range(point.compressed, len(stream), chunk))
    pieces = GzipStream(chunks, point, spacing=spacing, keep=points.append, ratio=ratio).pieces()
    return b"".join(pieces), points


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("chunk", [1013, 1 << 20])
def test_the_content_comes_from_the_beginning_and_from_every_point(stream, chunk):
    found, points = inflate(stream, chunk=chunk)
    assert found == DATA
    assert len(points) >= len(stream) // 200_000
    assert all(later.compressed - before.compressed >= 25_000 for before, later in pairwise(points))
    for point in points:
        assert inflate(stream, point)[0] == DATA[point.uncompressed :]


@pytest.mark.parametrize("name", STREAMS)
def test_the_checksum_is_verified_from_a_point_too(name):
    _, points = inflate(STREAMS[name])
    inside = [point for point in points if point.inside] or points
    damaged = bytearray(STREAMS[name])
    damaged[-1008 if name == "padded" else -8] ^= 1
    for point in (Point(), inside[-1]):
        with pytest.raises(DamagedError, match="does not match the checksum"):
            inflate(bytes(damaged), point)


@pytest.mark.parametrize("size", [0, 1, 9, 11, 200, 100_000, -9, -8, -1])
def test_a_truncated_stream_is_damaged(size):
    with pytest.raises(DamagedError, match="ends early"):
        inflate(STREAMS["one"][:size])


@pytest.mark.parametrize("place", [30_000, 200_000])
def test_a_changed_byte_is_found(place):
    damaged = bytearray(STREAMS["one"])
    damaged[place] ^= 0xFF
    with pytest.raises(DamagedError):
        inflate(bytes(damaged))


@pytest.mark.parametrize("data", [b"<html>not found</html>", b"\x1f\x8b\x07" + bytes(20), b"PK\x03\x04" + bytes(20)])
def test_what_is_no_gzip_is_said_to_be_none(data):
    with pytest.raises(DamagedError, match="not a gzip archive"):
        inflate(data)


def test_something_behind_the_last_member_is_damage():
    with pytest.raises(DamagedError, match="no gzip member begins"):
        inflate(zipped(b"a") + b"more")


def test_a_header_may_hold_names_and_comments():
    plain = gzip.compress(b"content", mtime=0)
    fields = struct.pack("<H", 3) + b"xyz" + b"name.tar\0" + b"a comment\0" + b"\0\0"
    assert inflate(plain[:3] + bytes([2 | 4 | 8 | 16]) + plain[4:10] + fields + plain[10:])[0] == b"content"


def test_a_header_without_end_is_refused():
    with pytest.raises(DamagedError, match="absurdly long"):
        inflate(b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 70_000)


def test_a_bomb_is_refused_before_it_is_inflated():
    produced = 0
    bomb = zipped(bytes(200_000_000), 1)
    stream = GzipStream(iter([bomb]), Point(), spacing=1 << 25, keep=print, ratio=100)
    with pytest.raises(InvalidInputError, match="times as large"):
        for piece in stream.pieces():
            produced += len(piece)
    assert produced < 150_000_000
