"""The bars of the environment's speed, as ratios measured in one run on two threads."""

import pytest

from mocapact_cli.core.bench.env import measure_env

BARS = {
    "of_raw": 0.85,
    "of_raw_all_proprios": 0.7,
    "over_dm_control": 12.0,
    "over_dm_control_long": 3.5,
    "over_original": 18.0,
    "over_original_long": 4.5,
}


@pytest.fixture(scope="module")
def measured():
    return measure_env(threads=2)


@pytest.mark.benchmark
@pytest.mark.parametrize("name", BARS)
def test_the_environment_is_fast_enough(measured, name):
    assert measured[name] >= BARS[name], measured
