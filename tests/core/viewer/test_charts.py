from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("viser")

from mocapact_cli.core.viewer.charts import marked


@given(st.integers(1, 50), st.data())
def test_the_mark_is_a_vertical_line_at_its_point_and_changes_no_curve(count: int, data) -> None:
    place = data.draw(st.integers(0, count - 1))
    times = np.linspace(0.0, 3.0, count)
    curve = np.array(data.draw(st.lists(st.floats(-9, 9) | st.just(np.nan), min_size=count, max_size=count)))
    x, y, line = marked(times, [curve], place, (-1.0, 2.0))
    assert (np.diff(x) >= 0).all()
    drawn = np.flatnonzero(np.isfinite(line))
    assert line[drawn].tolist() == [-1.0, 2.0]
    assert x[drawn].tolist() == [times[place]] * 2
    for time, value in zip(x, y, strict=True):
        at = int(np.argmin(np.abs(times - time)))
        np.testing.assert_equal(value, curve[at])
    np.testing.assert_array_equal(np.unique(x), np.unique(times))
