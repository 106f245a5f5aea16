import numpy as np
import pytest

from mocapact_cli.core.bench import dataset as bench
from mocapact_cli.core.datasets.expert_dataset import ExpertDataset
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.sim.observables import HIGH_LEVEL


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(bench, "EPISODE_STEPS", 40)
    monkeypatch.setattr(bench, "SNIPPETS", 2)
    monkeypatch.setattr(bench, "ROUNDS", 2)
    monkeypatch.setattr(bench, "BATCH_SIZE", 32)


@pytest.mark.parametrize("window", [1, 30])
def test_the_naive_side_reads_the_same_samples(tmp_path, window):
    paths = bench.generate_rollouts(tmp_path, 2, NullProgress())
    settings = {"min_seq_steps": window, "max_seq_steps": window, "temperature": 4.0, "advantage_weights": False}
    data = ExpertDataset(paths, HIGH_LEVEL, in_memory=True, **settings)
    for index in (0, 17, len(data) - 1):
        for ours, naive in zip(data[index], bench.read_naively(data, index), strict=True):
            assert np.allclose(ours, naive, rtol=1e-5)


def test_all_sides_are_measured_and_nothing_is_left(mocapact_home):
    measured = bench.measure_dataset(scale=1 / 12)
    assert measured["steps"] == 2 * 10 * 40
    assert measured["columns"] == 1291
    for name in (
        "over_naive",
        "of_gather",
        "over_naive_windows",
        "of_gather_windows",
        "samples_per_s",
        "windows_per_s",
    ):
        assert measured[name] > 0.0
    assert list((mocapact_home / "cache").iterdir()) == []
