import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.remote.ranges import Ranges, split

SIZE = 60
PAIR = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(lambda pair: (min(pair), max(pair)))
PAIRS = st.lists(PAIR, max_size=12)


def numbers(pairs):
    return {number for start, stop in pairs for number in range(start, stop)}


@given(PAIRS)
def test_ranges_hold_what_was_put_in_and_nothing_else(pairs):
    ranges, expected = Ranges(), set()
    for start, stop in pairs:
        new = set(range(start, stop)) - expected
        assert ranges.add(start, stop) == len(new)
        expected |= new
    assert numbers(ranges) == expected
    assert ranges.total == len(expected)


@given(PAIRS)
def test_ranges_are_in_order_and_do_not_touch(pairs):
    found = list(Ranges(pairs))
    assert all(start < stop for start, stop in found)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(found))


@given(PAIRS, st.integers(0, SIZE + 5))
def test_what_is_missing_is_the_rest(pairs, size):
    ranges = Ranges(pairs)
    missing = ranges.missing(size)
    assert numbers(missing) == set(range(size)) - numbers(ranges)
    assert missing == sorted(missing)


@given(PAIRS)
def test_the_prefix_reaches_to_the_first_gap(pairs):
    ranges = Ranges(pairs)
    inside = numbers(ranges)
    assert ranges.prefix == next(number for number in range(SIZE + 1) if number not in inside)


@given(PAIRS, st.integers(0, SIZE))
def test_cutting_takes_out_the_end(pairs, size):
    ranges = Ranges(pairs)
    ranges.cut(size)
    assert numbers(ranges) == {number for number in numbers(pairs) if number < size}


@given(PAIRS, st.integers(1, 9))
def test_pieces_are_the_same_bytes_in_short_ranges(pairs, longest):
    gaps = list(Ranges(pairs))
    pieces = split(gaps, longest)
    assert numbers(pieces) == numbers(gaps)
    assert sum(stop - start for start, stop in pieces) == len(numbers(gaps))
    assert all(0 < stop - start <= longest for start, stop in pieces)


@pytest.mark.parametrize("pair", [(3, 2), (-1, 2)])
def test_no_range_ends_before_it_begins(pair):
    with pytest.raises(ValueError, match="no range"):
        Ranges([pair])
