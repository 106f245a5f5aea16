"""Weights of samples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.datasets.weighting import Offsets, Weighting, weight_offset


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=50), st.floats(0.1, 20))
def test_weights_are_one_on_average(values, temperature):
    values = np.array(values)
    weights = np.exp((values - weight_offset(values, temperature)) / temperature)
    assert weights.mean() == pytest.approx(1.0)


def test_huge_values_do_not_overflow():
    assert weight_offset(np.array([5000.0, 0.0]), 1.0) == pytest.approx(5000.0 - math.log(2.0))


def test_an_endless_temperature_has_no_offset():
    assert weight_offset(np.array([1.0, 2.0]), math.inf) == 0.0
    assert Weighting().equal
    assert not Weighting(8.0).equal


def test_offsets_take_their_own_numbers():
    values, advantages = {"a": np.array([1.0, 2.0])}, {"a": np.array([3.0, 5.0])}
    offsets = Offsets.of_dataset({"a": 0.5, "b": 0.9}, values, advantages, 2.0)
    assert offsets.snippet_return == weight_offset(np.array([0.5, 0.9]), 2.0)
    assert offsets.advantage == weight_offset(np.array([3.0, 5.0]), 2.0)
    assert offsets.q_value == weight_offset(np.array([4.0, 7.0]), 2.0)


@pytest.mark.parametrize("precise", [True, False])
def test_samples_follow_the_formula_up_to_the_limit(precise):
    energies = np.array([-1.0, 0.0, 9.0], dtype=np.float32)
    weights = Weighting(2.0, max_weight=3.0).of_samples(energies, 0.5, precise=precise)
    assert weights.dtype == np.float32
    assert weights == pytest.approx([math.exp(-0.75), math.exp(-0.25), 3.0], rel=1e-6)


def test_snippets_follow_the_formula_up_to_the_limit():
    assert Weighting(0.2, clip_weighted=True).of_snippet(0.7, 0.5) == pytest.approx(math.e)
    assert Weighting(0.2, clip_weighted=True, max_weight=2.0).of_snippet(0.7, 0.5) == 2.0
