"""Where a deflate stream can be taken up: at the first bit of any of its blocks (RFC 1951).

zlib says neither where a block begins nor starts anywhere but at a whole byte. The first is found by trial: a place is
one where a block begins if a fresh decompressor, given the 32 KiB that precede it, turns what follows into exactly
what the running one did. The second is made up for by empty blocks in front that end at the bit in question.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

WINDOW = 1 << 15
"""Bytes of output that a block may refer back to."""

_SEARCHED = 1 << 14
_TRUSTED = 1 << 10
_LONGEST_FIXED_PART = 17 + 19 * 3


class Decompressor(Protocol):
    """What `zlib.decompressobj` returns."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream has been reached."""

    @property
    def unused_data(self) -> bytes:
        """What was given beyond the end of the stream."""

    def decompress(self, data: bytes, /) -> bytes:
        """Return the output for more input."""

    def copy(self) -> Decompressor:
        """Return one in the same state."""


@dataclass(frozen=True)
class Block:
    """Where a block begins.

    Attributes:
        bit: Of the input at which it begins, the lowest of a byte first.
        produced: Bytes of output before it.
    """

    bit: int
    produced: int


def decompressor(window: bytes = b"") -> Decompressor:
    """A decompressor of a raw deflate stream that may refer back to `window`."""
    return zlib.decompressobj(-zlib.MAX_WBITS, zdict=window) if window else zlib.decompressobj(-zlib.MAX_WBITS)


def first_block(running: Decompressor, window: bytes, given: bytes, produced: bytes) -> Block | None:
    """Find the first block that begins in the first three quarters of a part of a stream.

    Args:
        running: A decompressor that stands at the beginning of the part; it is used up.
        window: Up to `WINDOW` bytes of output before it.
        given: The part.
        produced: What it decompresses to.

    Returns:
        None: none begins there, or too little comes after it to be sure.
    """
    fed = count = 0
    for bit in _candidates(given, len(given) // 4 * 3):
        # What remains of the byte is too short to be more than the beginning of a header: it adds no output.
        whole = -(-bit // 8)
        count += len(running.decompress(given[fed:whole]))
        fed = whole
        before = produced[max(0, count - WINDOW) : count]
        if _begins(given, bit, (window + before)[-WINDOW:], memoryview(produced)[count:]):
            return Block(bit, count)
    return None


def opening(first: int, bit: int) -> bytes:
    """What to give a fresh decompressor instead of the byte `first`, of which it shall skip the `bit` lowest bits."""
    blocks = ([_EMPTY_DYNAMIC] if bit % 2 else []) + [_EMPTY_FIXED] * ((bit - 5 * (bit % 2)) // 2 % 4)
    value = length = 0
    for block, block_length in blocks:
        value |= block << length
        length += block_length
    return (value | first >> bit << length).to_bytes(length // 8 + 1, "little")


def _begins(given: bytes, bit: int, window: bytes, expected: memoryview) -> bool:
    byte, count = bit // 8, 0
    # The beginning of a part is enough to see that almost all others are none.
    soon = byte + 1 + _TRUSTED
    fresh = decompressor(window)
    try:
        for part in (opening(given[byte], bit % 8) + given[byte + 1 : soon], given[soon:]):
            found = fresh.decompress(part)
            if found != expected[count : count + len(found)]:
                return False
            count += len(found)
    except zlib.error:
        return False
    return _TRUSTED <= count == len(expected)


def _candidates(given: bytes, stop: int) -> Iterator[int]:
    """Bits before the byte `stop` at which the header of a block may begin, in order; few of them are wrong."""
    import numpy as np

    content = np.frombuffer(given, np.uint8)
    for begin in range(0, stop, _SEARCHED):
        part = content[begin : min(begin + _SEARCHED, stop) + _LONGEST_FIXED_PART // 8 + 1]
        found = np.concatenate([_dynamic(part), _stored(part)])
        yield from (begin * 8 + np.unique(found)).tolist()


def _dynamic(content: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Where the header of a block with its own Huffman codes may begin: its code lengths have a complete code."""
    import numpy as np

    bits = np.unpackbits(content, bitorder="little")
    fits = bits[: max(0, len(bits) - _LONGEST_FIXED_PART)]
    # Not the last block (0), its own codes (0, 1).
    at = np.flatnonzero((fits | bits[1:][: len(fits)] | (1 - bits[2:][: len(fits)])) == 0)

    def number(at: NDArray[Any], width: int) -> NDArray[Any]:
        return sum((bits[at + i].astype(np.int64) << i for i in range(width)), np.zeros(len(at), np.int64))

    at = at[(number(at + 3, 5) < 30) & (number(at + 8, 5) < 30)]
    given, share = number(at + 13, 4) + 4, np.zeros(len(at), np.int64)
    for i in range(19):
        length = number(at + 17 + 3 * i, 3)
        share += np.where((i < given) & (length > 0), 128 >> length, 0)
    found: NDArray[np.int64] = at[share == 128]
    return found


def _stored(content: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Where the header of a block of uncompressed bytes may begin: their number follows twice, once inverted."""
    import numpy as np

    inverted = (content[:-2] ^ content[2:]) == 0xFF
    lengths = np.flatnonzero(inverted[:-1] & inverted[1:])
    at = (8 * lengths[:, None] - np.arange(3, 11)).ravel()
    at = at[at >= 0]
    bits = np.unpackbits(content, bitorder="little")
    # Not the last block (0), no codes (0, 0).
    found: NDArray[np.int64] = at[(bits[at] | bits[at + 1] | bits[at + 2]) == 0]
    return found


def _fields(*fields: tuple[int, int]) -> tuple[int, int]:
    """Numbers of some bits each, one after the other, and how many bits that is."""
    value = length = 0
    for number, width in fields:
        value |= number << length
        length += width
    return value, length


_EMPTY_FIXED = _fields((0, 1), (1, 2), (0, 7))
# An odd number of bits. Lengths of codes: 2 for "138 zeros at most" and "zero", 1 for "one"; 256 zeros, a one for the
# end of the block, and no distances.
_EMPTY_DYNAMIC = _fields(
    *((0, 1), (2, 2), (0, 5), (0, 5), (14, 4)),
    *((0, 6), (2, 3), (2, 3), (0, 39), (1, 3)),
    *((3, 2), (127, 7), (3, 2), (107, 7), (0, 1), (1, 2)),
    (0, 1),
)
