from __future__ import annotations

import numpy as np

from mocapact_cli.core.datasets.statistics import RolloutStatistics
from mocapact_cli.core.evaluation.outliers import column_notes, observable_statistics, snippet_outliers


def rows(values: list[float], metric: str = "norm_return"):
    return [{"snippet": f"a-{number}-9", metric: {"mean": value, "std": 0.0}} for number, value in enumerate(values)]


def test_the_snippet_far_from_the_others_is_found_with_its_side() -> None:
    found = snippet_outliers(rows([0.7, 0.72, 0.69, 0.71, 0.1, 0.7, 0.73]))
    assert [(row["snippet"], row["metric"]) for row in found] == [("a-4-9", "norm_return")]
    assert found[0]["deviations"] < -3.5
    assert found[0]["median"] == 0.7


def test_few_or_nearly_equal_snippets_have_no_outliers() -> None:
    assert snippet_outliers(rows([0.7, 0.7, 0.1])) == []
    assert snippet_outliers(rows([0.7] * 9 + [0.705])) == []
    assert snippet_outliers(rows([0.0] * 9)) == []
    assert snippet_outliers(rows([0.7, float("nan"), 0.7, 0.7, 0.7, 0.7, 0.7])) == []
    assert snippet_outliers([{"snippet": "a-0-9", "length": None}] * 9) == []


def statistics(values: np.ndarray) -> RolloutStatistics:
    result = RolloutStatistics.empty(values.shape[1], 1)
    result.proprio.update(values)
    return result


def test_columns_that_never_change_or_are_extreme_are_found() -> None:
    values = np.random.default_rng(0).standard_normal((50, 5))
    values[:, 1], values[:, 3] = 4.0, values[:, 3] * 1e6
    columns = {"a": np.arange(2), "b": np.arange(2, 5)}
    assert column_notes(statistics(values), columns) == {
        "constant": [{"observable": "a", "columns": [1]}],
        "extreme": [{"observable": "b", "columns": [1]}],
    }
    values[0, 4] = np.nan
    notes = column_notes(statistics(values), columns)
    assert notes["not_finite"] == [{"observable": "b", "columns": [2]}]


def test_pooled_moments_are_those_of_all_columns_together() -> None:
    values = np.random.default_rng(1).standard_normal((80, 4)) * [1, 2, 3, 4] + [5, -5, 0, 1]
    (row,) = observable_statistics(statistics(values), {"a": np.arange(1, 4)})
    np.testing.assert_allclose([row["mean"], row["std"]], [values[:, 1:].mean(), values[:, 1:].std()])
    assert (row["columns"], row["constant"]) == (3, 0)
