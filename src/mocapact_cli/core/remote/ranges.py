"""Which bytes of a file are there: a set of numbers, kept as ranges."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Ranges:
    """Bytes that are there, as ranges from the first to before the last, which are in order and never touch.

    Args:
        pairs: Ranges in any order; they may overlap.

    Raises:
        ValueError: A range ends before it begins, or begins below zero.
    """

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in pairs:
            self.add(start, stop)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(list(self._starts), list(self._stops), strict=True)

    def __repr__(self) -> str:
        return f"Ranges({list(self)})"

    def add(self, start: int, stop: int) -> int:
        """Put in the bytes from `start` to before `stop`, and return how many of them are new.

        Raises:
            ValueError: That is no range.
        """
        if not 0 <= start <= stop:
            raise ValueError(f"{start} to {stop} is no range of bytes")
        if start == stop:
            return 0
        first = bisect.bisect_left(self._stops, start)
        last = bisect.bisect_right(self._starts, stop)
        known = sum(min(self._stops[i], stop) - max(self._starts[i], start) for i in range(first, last))
        joined = (min([start, *self._starts[first:last]]), max([stop, *self._stops[first:last]]))
        self._starts[first:last], self._stops[first:last] = [joined[0]], [joined[1]]
        return stop - start - known

    def cut(self, size: int) -> None:
        """Take out all bytes from `size` on."""
        kept = [(start, min(stop, size)) for start, stop in self if start < size]
        self._starts, self._stops = [start for start, _ in kept], [stop for _, stop in kept]

    @property
    def total(self) -> int:
        """How many bytes are there."""
        return sum(stop - start for start, stop in self)

    @property
    def prefix(self) -> int:
        """How many bytes are there from the beginning on without a gap."""
        return self._stops[0] if self._starts and self._starts[0] == 0 else 0

    def missing(self, size: int) -> list[tuple[int, int]]:
        """The ranges of a file of `size` bytes that are not there, in order."""
        edges = [0, *(edge for pair in self for edge in pair), size]
        gaps = zip(edges[::2], edges[1::2], strict=True)
        return [(start, min(stop, size)) for start, stop in gaps if start < min(stop, size)]


def split(gaps: Iterable[tuple[int, int]], longest: int) -> list[tuple[int, int]]:
    """Cut ranges into pieces of at most `longest` bytes, in order."""
    return [(start, min(start + longest, stop)) for first, stop in gaps for start in range(first, stop, longest)]
