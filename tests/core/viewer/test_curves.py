from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.viewer.curves import Chart, error_chart

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
