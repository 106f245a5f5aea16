import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tar_archives import content

from mocapact_cli.core.remote.deflate import WINDOW, decompressor, first_block, opening


def raw(data, level=6, strategy=zlib.Z_DEFAULT_STRATEGY):
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    return compressor.compress(data) + compressor.flush()


def find(data, stream, begin, size):
    """The first block in a part of a stream, as bit of the stream and bytes of the data before it."""
    running = decompressor()
    before = running.decompress(stream[:begin])
    copy, part = running.copy(), stream[begin : begin + size]
    block = first_block(copy, before[-WINDOW:], part, running.decompress(part))
    return block and (8 * begin + block.bit, len(before) + block.produced)


def taken_up(data, stream, bit, produced):
    fresh = decompressor(data[max(0, produced - WINDOW) : produced])
    return fresh.decompress(opening(stream[bit // 8], bit % 8) + stream[bit // 8 + 1 :])


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_a_stream_is_taken_up_at_a_block(level):
    data = content(400_000)
    stream = raw(data, level)
    bits = set()
    for begin in range(5000, len(stream) - 130_000, 13_001):
        bit, produced = find(data, stream, begin, 130_000)
        assert taken_up(data, stream, bit, produced) == data[produced:]
        bits.add(bit % 8)
    assert len(bits) > 2 or level == 0


@pytest.mark.parametrize("bit", range(8))
def test_empty_blocks_end_at_any_bit(bit):
    """A fixed block with "a" that begins at that bit, the bits before it set to what would be no block."""
    block = int.from_bytes(raw(b"a"), "little")
    stream = (block << bit | (1 << bit) - 1).to_bytes(6, "little")
    fresh = decompressor()
    assert fresh.decompress(opening(stream[0], bit) + stream[1:]) == b"a"
    assert fresh.eof


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 40), st.integers(1, 9), st.integers(0, 3000))
@example(b"", 0, 6, 0)
def test_whatever_is_found_is_right(letters, times, level, begin):
    data = letters * times + content(40_000) + letters
    stream = raw(data, level)
    found = find(data, stream, min(begin, len(stream)), 60_000)
    assert found is None or taken_up(data, stream, *found) == data[found[1] :]


def test_a_stream_without_other_codes_has_no_block():
    data = content(200_000)
    stream = raw(data, strategy=zlib.Z_FIXED)
    assert find(data, stream, 1000, 100_000) is None


def test_what_looks_like_a_block_inside_of_one_is_not():
    """A stored block that holds deflate streams: their blocks begin in its bytes, too."""
    data = raw(content(60_000)) + raw(content(60_000, seed=1))
    stream = raw(data, 0)
    bit, produced = find(data, stream, 10, 100_000)
    assert taken_up(data, stream, bit, produced) == data[produced:]
    assert produced >= 30_000
