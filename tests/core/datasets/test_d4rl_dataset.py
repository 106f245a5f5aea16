"""Transitions for offline reinforcement learning."""

import itertools

import h5py
import numpy as np
import pytest

import mocapact_cli
from mocapact_cli.core.datasets.d4rl_dataset import D4RLDataset
from mocapact_cli.core.sim.observables import MULTI_CLIP_SANS_ID

SNIPPETS = ["CMU_001_01-0-50", "CMU_001_01-30-80"]
NAMES = ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts")


@pytest.fixture
def path(tmp_path, rolls):
    rolls.write(tmp_path / "CMU_001_01.hdf5", SNIPPETS)
    return tmp_path / "CMU_001_01.hdf5"


def expected(path, columns):
    rows = []
    with h5py.File(path) as file:
        for snippet, slot in itertools.product(SNIPPETS, range(3)):
            group = file[f"{snippet}/{slot}"]
            seen, length = group["observations/proprioceptive"][:, columns], len(group["actions"])
            failed = bool(file[snippet]["early_termination"][slot])
            for step in range(length):
                last = step == length - 1
                row = (seen[step], group["actions"][step], group["rewards"][step], seen[step + 1])
                rows.append((*row, last and failed, last and not failed))
    return rows


def test_it_is_a_public_name():
    assert mocapact_cli.D4RLDataset is D4RLDataset


def test_transitions_are_those_of_the_file(path):
    data = D4RLDataset([path], ["walker/joints_pos"], in_memory=True)
    wanted = expected(path, slice(1, 5))
    assert len(data) == len(wanted)
    for found, row in zip(data, wanted, strict=True):
        assert all(np.array_equal(*pair) for pair in zip(found, row, strict=True))
    arrays = data.get_in_memory_rollouts()
    for name, column in zip(NAMES, zip(*wanted, strict=True), strict=True):
        assert np.array_equal(arrays[name], np.stack(column))
    assert arrays["terminals"].any()
    assert arrays["timeouts"].any()


def test_so_many_transitions_at_most(path):
    arrays = D4RLDataset([path], ["walker/joints_pos"], in_memory=True).get_in_memory_rollouts(4)
    assert {len(values) for values in arrays.values()} == {4}


def test_dictionaries_of_observations(path):
    data = D4RLDataset([path], {"a": ["walker/joints_pos"], "b": ["walker/world_zaxis"]}, in_memory=True)
    arrays = data.get_in_memory_rollouts()
    assert arrays["next_observations"]["b"].shape == (len(data), 3)
    assert np.array_equal(arrays["observations"]["a"][3], data[3][0]["a"])


@pytest.fixture(scope="module")
def published(test_data):
    folder = test_data / "published" / "dataset"
    files = [folder / "CMU_901_01.hdf5", folder / "CMU_902_01.hdf5"]

    def build(**settings):
        return D4RLDataset(files, MULTI_CLIP_SANS_ID, folder / "dataset_metrics.npz", in_memory=True, **settings)

    return build


@pytest.fixture(scope="module")
def reference(test_data):
    with np.load(test_data / "published" / "reference" / "d4rl_in_memory.npz") as arrays:
        return dict(arrays)


def test_published_transitions_equal_the_originals_to_the_last_digit(published, reference):
    arrays = published().get_in_memory_rollouts()
    for name in NAMES:
        assert arrays[name].dtype == reference[name].dtype
        assert np.array_equal(arrays[name], reference[name]), name


def test_published_transitions_normalized_and_upsampled_equal_the_originals(published, reference):
    data = published(normalize_obs=True, normalize_act=True, return_mean_act=True, clip_len_upsampling=True)
    assert len(data) == reference["norm_mean_ups_len"]
    arrays = data.get_in_memory_rollouts(300)
    for name in ("actions", "rewards", "terminals", "timeouts"):
        assert np.array_equal(arrays[name], reference[f"norm_mean_ups_first300/{name}"]), name
    every = reference["norm_mean_ups_first300/observations_every50"]
    assert np.array_equal(arrays["observations"][::50], every)
