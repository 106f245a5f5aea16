from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mocapact_cli.core.datasets.statistics import (
    OrderedStatistics,
    RolloutStatistics,
    RunningStatistics,
    corrected_action_moments,
)

ROWS = hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(-1e3, 1e3, allow_nan=False))


@given(ROWS, st.lists(st.integers(0, 40), max_size=4))
def test_parts_add_up_to_the_whole(rows: np.ndarray, cuts: list[int]) -> None:
    running = RunningStatistics.empty(3)
    for part in np.split(rows, sorted(min(cut, len(rows)) for cut in cuts)):
        running.update(part)
    assert running.count == len(rows)
    np.testing.assert_allclose(running.mean, rows.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(running.var, rows.var(axis=0), rtol=1e-9, atol=1e-7)


@given(ROWS, ROWS)
def test_merging_is_symmetric(first: np.ndarray, second: np.ndarray) -> None:
    def merged(one: np.ndarray, other: np.ndarray) -> RunningStatistics:
        result, added = RunningStatistics.empty(3), RunningStatistics.empty(3)
        result.update(one)
        added.update(other)
        result.merge(added)
        return result

    there, back = merged(first, second), merged(second, first)
    np.testing.assert_allclose(there.mean, back.mean, atol=1e-9)
    np.testing.assert_allclose(there.var, back.var, rtol=1e-9, atol=1e-7)


def test_a_large_mean_loses_no_digits() -> None:
    rows = 1e6 + np.random.default_rng(0).standard_normal((1000, 1))
    running = RunningStatistics.empty(1)
    for part in np.array_split(rows, 37):
        running.update(part)
    assert running.var[0] == pytest.approx(rows.var(), rel=1e-9)


def test_nothing_seen_has_no_variance() -> None:
    empty = RunningStatistics.empty(2)
    empty.merge(RunningStatistics.empty(2))
    assert empty.count == 0
    assert empty.var.tolist() == [0.0, 0.0]


def test_the_scaling_of_the_original_is_undone() -> None:
    actions = np.random.default_rng(1).standard_normal((40, 5)) + 0.3
    count = len(actions) + 4
    mean = actions.sum(axis=0) / count
    var = np.square(actions).sum(axis=0) / count - np.square(mean)
    corrected = corrected_action_moments(mean, var, count, len(actions))
    np.testing.assert_allclose(corrected.mean, actions.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(corrected.var, actions.var(axis=0), atol=1e-12)


def test_arrays_carry_the_published_names_and_types() -> None:
    statistics = RolloutStatistics.empty(7, 5)
    statistics.proprio.update(np.ones((3, 7)))
    statistics.act.update(np.ones((2, 5)))
    assert "mean_act_mean" not in statistics.arrays()
    statistics.mean_act.update(np.ones((2, 5)))
    arrays = statistics.arrays()
    assert {name for name, array in arrays.items() if array.dtype == np.float32} == {
        "proprio_mean", "proprio_var", "act_mean", "act_var", "mean_act_mean", "mean_act_var",
    }  # fmt: skip
    assert (int(arrays["count"]), int(arrays["act_count"])) == (3, 2)


def test_parts_are_added_in_their_order_whatever_order_they_come_in():
    rng = np.random.default_rng(0)
    parts = [
        RolloutStatistics(*(RunningStatistics.of_rows(rng.normal(3.0, 2.0, (7 + index, 4))) for _ in range(3)))
        for index in range(6)
    ]
    totals = []
    for order in (range(6), (5, 3, 0, 1, 4, 2)):
        sums = OrderedStatistics(range(6))
        for index in order:
            sums.add(index, parts[index].copy())
        assert not sums._early
        totals.append(sums.total.arrays())
    for name, array in totals[0].items():
        np.testing.assert_array_equal(array, totals[1][name])
    expected = RolloutStatistics.empty(4, 4)
    for part in parts:
        expected.merge(part)
    np.testing.assert_allclose(totals[0]["proprio_var"], expected.arrays()["proprio_var"], rtol=1e-6)
