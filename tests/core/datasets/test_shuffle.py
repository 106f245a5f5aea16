"""Random orders without memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.datasets.shuffle import Permutation


@given(size=st.integers(1, 3000), seed=st.integers(0, 2**32), epoch=st.integers(0, 1000))
def test_every_number_comes_once(size, seed, epoch):
    assert np.array_equal(np.sort(Permutation(size, seed, epoch)[:]), np.arange(size))


def test_any_part_of_an_order_is_the_same_part():
    whole = Permutation(1000, 3)[:]
    assert np.array_equal(Permutation(1000, 3)[200:264], whole[200:264])
    assert np.array_equal(Permutation(1000, 3).at(np.array([7, 7, 999])), whole[[7, 7, 999]])


def test_seeds_and_epochs_have_orders_of_their_own():
    orders = [Permutation(1000, seed, epoch)[:] for seed in range(3) for epoch in range(3)]
    assert len({order.tobytes() for order in orders}) == 9


def test_orders_of_billions_cost_nothing():
    numbers = Permutation(5_000_000_000, 1)[4_000_000_000:4_000_000_256]
    assert len(np.unique(numbers)) == 256
    assert numbers.max() > 2**32 > numbers.min() >= 0


@pytest.mark.parametrize("size", [64, 1000, 4097])
def test_the_order_is_random(size):
    """Every tenth of the places gets every tenth of the numbers: chi-squared 81 degrees of freedom."""
    counts = np.zeros((10, 10))
    repeats = 40_000 // size
    for seed in range(repeats):
        order = Permutation(size, seed)[:]
        np.add.at(counts, (np.arange(size) * 10 // size, order * 10 // size), 1)
    tenths = np.bincount(np.arange(size) * 10 // size, minlength=10)
    expected = np.outer(tenths, tenths) / size * repeats
    assert 40.0 < ((counts - expected) ** 2 / expected).sum() < 135.0


def test_neighbours_are_torn_apart():
    steps = np.diff(Permutation(10_000, 5)[:])
    assert np.count_nonzero(np.abs(steps) == 1) < 12
    assert 3000 < np.abs(steps).mean() < 3700
