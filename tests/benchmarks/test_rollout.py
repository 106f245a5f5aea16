"""The bars of recording, as ratios measured in one run on two threads."""

import pytest

from mocapact_cli.core.bench.rollout import measure_rollout

BARS = {"of_raw": 0.55, "of_raw_published": 0.45}


@pytest.fixture(scope="module")
def measured():
    return measure_rollout(threads=2)


@pytest.mark.benchmark
@pytest.mark.parametrize("name", BARS)
def test_experts_are_recorded_fast_enough(measured, name):
    assert measured[name] >= BARS[name], measured
