from __future__ import annotations

import numpy as np

from mocapact_cli.core.viewer.takes import Take


def test_a_curve_is_as_long_as_the_take_will_be_and_unknown_where_nothing_is_known() -> None:
    take = Take("a", 5, poses=[np.zeros(63)] * 2, curves={"reward": [np.nan, 0.5]})
    np.testing.assert_array_equal(take.curve("reward"), [np.nan, 0.5, np.nan, np.nan, np.nan])
    assert np.isnan(take.curve("error")).all()
    assert [take.now(frame) for frame in (0, 1, 2)] == [{}, {"reward": 0.5}, {}]


def test_what_is_recorded_does_not_grow() -> None:
    take = Take("a", 1, poses=[np.zeros(63)])
    take.push(np.ones(3))
    assert not take.grows
    assert not take.extend()
    assert take.frames == 1
