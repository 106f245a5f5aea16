"""The bars of reading datasets, as ratios measured in one run."""

import pytest

from mocapact_cli.core.bench.dataset import measure_dataset

BARS = {"over_naive": 100.0, "over_naive_windows": 25.0, "of_gather": 0.5, "of_gather_windows": 0.5}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOCAPACT_HOME", str(tmp_path_factory.mktemp("home")))
        return measure_dataset()


@pytest.mark.benchmark
@pytest.mark.parametrize("name", BARS)
def test_datasets_are_read_fast_enough(measured, name):
    assert measured[name] >= BARS[name], measured
