"""Measurements take as many rounds as their time allows."""

import pytest

from mocapact_cli.core.bench.rounds import rounds_in_time
from mocapact_cli.core.progress import NullProgress


@pytest.mark.parametrize(("seconds", "wanted"), [(-1.0, [0, 1, 2]), (1e9, [0, 1, 2, 3, 4, 5])])
def test_there_are_enough_rounds_and_not_too_many_after_one_that_warms_up(seconds, wanted):
    assert list(rounds_in_time(NullProgress(), least=2, most=5, seconds=seconds)) == wanted
