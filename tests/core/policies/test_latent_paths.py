from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.latent_paths import interpolate, mix, prior_path


@pytest.mark.parametrize(("correlation", "scale"), [(0.0, 1.0), (0.9, 1.0), (0.6, 2.5)])
def test_a_path_keeps_the_priors_spread_and_correlation(correlation: float, scale: float) -> None:
    path = prior_path(60, 4000, correlation, np.random.default_rng(0), scale=scale)
    assert path.shape == (60, 4000)
    np.testing.assert_allclose(path.std(axis=1), scale, rtol=0.05)
    np.testing.assert_allclose(path.mean(axis=1), 0.0, atol=0.08 * scale)
    for lag in (1, 2):
        found = np.corrcoef(path[:-lag].ravel(), path[lag:].ravel())[0, 1]
        assert found == pytest.approx(correlation**lag, abs=0.02)


def test_a_correlation_of_one_holds_the_first_embedding() -> None:
    path = prior_path(5, 3, 1.0, np.random.default_rng(0))
    np.testing.assert_array_equal(path, np.repeat(path[:1], 5, axis=0))
    assert path.std() > 0


@pytest.mark.parametrize(("correlation", "scale"), [(-0.1, 1.0), (1.1, 1.0), (float("nan"), 1.0), (0.5, -1.0)])
def test_impossible_priors_are_refused(correlation: float, scale: float) -> None:
    with pytest.raises(UsageError, match="impossible"):
        prior_path(2, 2, correlation, np.random.default_rng(0), scale=scale)


def test_an_arc_leads_from_one_embedding_to_another() -> None:
    start, end = np.array([2.0, 0.0, 0.0]), np.array([0.0, 4.0, 0.0])
    path = interpolate(start, end, 5)
    np.testing.assert_allclose(path[[0, -1]], [start, end], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), [2.0, 2.5, 3.0, 3.5, 4.0], atol=1e-5)
    np.testing.assert_allclose(np.degrees(np.arctan2(path[:, 1], path[:, 0])), [0, 22.5, 45, 67.5, 90], atol=1e-4)


def test_where_there_is_no_arc_there_is_a_line() -> None:
    start, end = np.array([2.0, 0.0, 0.0]), np.array([0.0, 4.0, 0.0])
    np.testing.assert_allclose(interpolate(start, 2 * start, 3)[1], 1.5 * start, atol=1e-6)
    np.testing.assert_allclose(interpolate(start, -start, 3)[1], np.zeros(3), atol=1e-6)
    np.testing.assert_allclose(interpolate(np.zeros(3), end, 3)[1], end / 2, atol=1e-6)


def test_rows_are_mixed_each_by_itself() -> None:
    rng = np.random.default_rng(0)
    start, end = rng.standard_normal((2, 6, 5))
    start[2], end[3] = 0.0, start[3]
    shares = np.linspace(0.0, 1.0, 6)
    mixed = mix(start, end, shares)
    for row, share in enumerate(shares):
        np.testing.assert_allclose(mixed[row], mix(start[row], end[row], share), atol=1e-6)
    assert np.isfinite(mixed).all()
