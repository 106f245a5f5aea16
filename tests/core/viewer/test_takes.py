from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.viewer.takes import Chart, Take, error_chart

values = st.lists(st.floats(-50, 50) | st.just(np.nan), max_size=20).map(lambda found: np.array(found, dtype=float))


@given(st.lists(values, max_size=3))
def test_an_axis_holds_its_own_span_and_all_known_values(curves) -> None:
    low, high = Chart("a", ("b",), 0.0, 1.0).span(curves)
    assert low <= 0.0
    assert high >= 1.0
    for curve in curves:
        assert ((curve >= low) & (curve <= high) | np.isnan(curve)).all()


def test_an_axis_stays_where_it_is_while_values_fit() -> None:
    chart = error_chart(0.3)
    assert chart.span([np.array([0.01, np.nan, 0.29])]) == chart.span([]) == (chart.lowest, chart.highest)
    assert chart.lowest < chart.level < chart.highest


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
