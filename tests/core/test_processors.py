import os

import pytest

from mocapact_cli.core.processors import Processors, available_threads, processors


@pytest.mark.parametrize(("quota", "available"), [(None, 6), (2.0, 2), (2.5, 3), (0.2, 1), (64.0, 6)])
def test_a_part_of_a_processor_still_runs_a_thread(quota, available):
    assert Processors(8, 6, quota).available == available


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_affinity_counts():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert processors().affinity == available_threads() == 1
    finally:
        os.sched_setaffinity(0, before)
