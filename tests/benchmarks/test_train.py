"""The bars of expert training's speed, as ratios measured in one run on two threads."""

import pytest

from mocapact_cli.core.bench.train import measure_expert_training

BARS = {"over_original": 4.0, "fast_over_original": 18.0}


@pytest.fixture(scope="module")
def measured():
    return measure_expert_training(threads=2)


@pytest.mark.benchmark
@pytest.mark.parametrize("name", BARS)
def test_experts_are_trained_fast_enough(measured, name):
    assert measured[name] >= BARS[name], measured
