from __future__ import annotations

from pathlib import Path

import pytest

from mocapact_cli.core.formatting import counted, mean_and_spread, quoted, shortened, shown, size_text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (1_083_347_776, "1.08 GB"), (6e11, "600 GB")]
)
def test_sizes(count: float, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(("number", "text"), [(1, "1 snippet"), (0, "0 snippets"), (2589, "2,589 snippets")])
def test_one_is_singular(number: int, text: str) -> None:
    assert counted(number, "snippet") == text


def test_means_and_plain_numbers() -> None:
    assert mean_and_spread({"mean": 0.5, "std": 0.123}) == "0.5 ± 0.12"
    assert mean_and_spread(0.5) == "0.500"
    assert mean_and_spread(None) is None


def test_what_a_file_says_is_shown_in_one_short_line() -> None:
    endless: list[object] = []
    for _ in range(60):
        endless = [endless, endless]
    assert shown("a\n\x1b[31mb") == "a??[31mb"
    assert shown("x" * 1000) == shortened("x" * 1000) == "x" * 120 + "..."
    assert (shown(3), shown(1 << 90), shown(endless)) == ("3", "a huge number", "a list")


def test_no_spread_is_made_of_rounding() -> None:
    assert mean_and_spread({"mean": 1.0, "std": 5.5e-9}) == "1 ± 0"
    assert mean_and_spread({"mean": 0.0, "std": 0.0}) == "0 ± 0"


def test_paths_are_shown_as_they_are_typed() -> None:
    assert quoted(Path("my clips/walk.h5")) == "'my clips/walk.h5'"
    assert quoted(Path("clips/walk.h5")) == "clips/walk.h5"
