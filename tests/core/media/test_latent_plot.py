import numpy as np
import pytest

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.media.latent_plot import Plane, plot_latent


def test_a_plane_lies_along_the_largest_spread():
    rng = np.random.default_rng(0)
    turned, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    points = rng.standard_normal((4000, 5)) * [3.0, 2.0, 0.5, 0.0, 0.0] @ turned.T + 7.0
    plane = Plane.of(points)
    np.testing.assert_allclose(np.abs(plane.axes @ turned[:, :2]), np.eye(2), atol=0.05)
    np.testing.assert_allclose(plane.shares, np.array([9.0, 4.0]) / 13.25, atol=0.03)
    np.testing.assert_allclose(plane.project(points).std(axis=0), [3.0, 2.0], rtol=0.05)
    np.testing.assert_allclose(plane.project(points.mean(axis=0)), 0.0, atol=1e-9)


def test_a_single_embedding_has_a_plane_too():
    plane = Plane.of(np.ones((1, 3)))
    np.testing.assert_allclose(plane.project(np.ones(3)), 0.0)
    np.testing.assert_array_equal(plane.shares, 0.0)


def test_many_snippets_are_drawn_and_an_unknown_ending_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    encoded = {f"snippet-{number}": rng.standard_normal((9, 4)) for number in range(14)}
    sampled = {"prior": rng.standard_normal((20, 4))}
    path = plot_latent(tmp_path / "plane.png", encoded, sampled, title="All", prior_scale=1.0)
    assert path.stat().st_size > 10_000
    with pytest.raises(UsageError, match=r"plane\.txt"):
        plot_latent(tmp_path / "plane.txt", encoded, sampled, title="All")
