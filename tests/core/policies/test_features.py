from __future__ import annotations

import numpy as np
import pytest
import torch

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.features import Features

HEIGHT, UP, GYRO = "walker/body_height", "walker/world_zaxis", "walker/sensors_gyro"
MEAN, VAR = np.arange(7.0), np.array([1.0, 4.0, 4.0, 4.0, 9.0, 9.0, 9.0])


@pytest.fixture
def features() -> Features:
    found = Features({"all": (HEIGHT, UP, GYRO), "some": (GYRO, HEIGHT)}, (1,))
    found.set_statistics(MEAN, VAR)
    return found


@pytest.fixture
def flat() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((5, 3, 7)).astype(np.float32))


def test_each_observable_lies_once_in_a_flat_observation(features: Features) -> None:
    assert features.layout.names == (HEIGHT, UP, GYRO)
    assert (features.layout.size, features.size("all"), features.size("some")) == (7, 7, 4)


def test_columns_are_normalized_by_their_own_statistics(features: Features, flat: torch.Tensor) -> None:
    expected = (flat.numpy() - MEAN) / np.sqrt(VAR)
    np.testing.assert_allclose(features("all", flat), expected, atol=1e-5)
    np.testing.assert_allclose(features("some", flat), expected[..., [4, 5, 6, 0]], atol=1e-5)


def test_parts_by_view_or_observable_are_the_same_as_flat(features: Features, flat: torch.Tensor) -> None:
    by_name = {HEIGHT: flat[..., :1], UP: flat[..., 1:4], GYRO: flat[..., 4:]}
    by_view = {"some": flat[..., [4, 5, 6, 0]], "all": flat}
    for view in ("all", "some"):
        assert torch.equal(features(view, by_name), features(view, flat))
        assert torch.equal(features(view, by_view), features(view, flat))


def test_without_statistics_nothing_changes(flat: torch.Tensor) -> None:
    assert torch.equal(Features({"all": (HEIGHT, UP, GYRO)}, (1,))("all", flat), flat)


def test_normalized_columns_can_be_limited(flat: torch.Tensor) -> None:
    features = Features({"all": (HEIGHT, UP, GYRO)}, (1,), clip=2.0)
    features.set_statistics(np.zeros(7), np.zeros(7))
    assert features("all", flat).abs().max() == 2.0


def test_what_does_not_fit_is_refused(features: Features, flat: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="6 columns, the policy sees 7"):
        features("all", flat[..., :6])
    with pytest.raises(UsageError, match=UP):
        features("all", {HEIGHT: flat[..., :1], GYRO: flat[..., 4:]})
    with pytest.raises(UsageError, match="5 columns"):
        features.set_statistics(np.zeros(5), np.ones(5))
    with pytest.raises(UsageError, match="not finite"):
        features.set_statistics(np.full(7, np.nan), np.ones(7))
    with pytest.raises(UsageError, match="walker/nonsense"):
        Features({"all": ("walker/nonsense",)}, (1,))
