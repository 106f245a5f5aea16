"""Batches of a dataset as tensors."""

import numpy as np
import pytest
import torch

from mocapact_cli.core.datasets.expert_dataset import ExpertDataset
from mocapact_cli.core.datasets.loader import BatchLoader
from mocapact_cli.core.errors import UsageError

VIEWS = {"encoder": ["walker/joints_pos", "walker/body_height"], "decoder": ["walker/world_zaxis"]}


@pytest.fixture
def path(tmp_path, rolls):
    rolls.write(tmp_path / "CMU_001_01.hdf5", ["CMU_001_01-0-50", "CMU_001_01-30-80"])
    return tmp_path / "CMU_001_01.hdf5"


def dataset(path, observables=VIEWS, **settings):
    return ExpertDataset([path], observables, in_memory=True, **settings)


@pytest.mark.parametrize("settings", [{}, {"normalize_obs": True, "normalize_act": True, "temperature": 2.0}])
def test_single_steps_are_those_of_the_dataset(path, settings):
    data = dataset(path, **settings)
    indices = np.array([3, 0, len(data) - 1, 3])
    batch = BatchLoader(data, 4).gather(indices)
    for row, (seen, acted, weight) in enumerate(data[int(index)] for index in indices):
        for view in VIEWS:
            assert np.array_equal(batch.observations[view][row].numpy(), seen[view])
        assert np.array_equal(batch.actions[row].numpy(), acted)
        assert batch.weights[row].item() == weight


@pytest.mark.parametrize("settings", [{}, {"normalize_obs": True, "temperature": 2.0, "concat_observables": False}])
def test_windows_are_those_of_the_dataset(path, settings):
    data = dataset(path, min_seq_steps=3, max_seq_steps=3, **settings)
    batch = BatchLoader(data, len(data)).gather(np.arange(len(data)))
    for row, (seen, acted, weight) in enumerate(data[index] for index in range(len(data))):
        found = batch.observations["encoder"]
        if "concat_observables" in settings:
            found, seen = found["walker/body_height"], {"encoder": seen["encoder"]["walker/body_height"]}
        assert np.array_equal(found[row].numpy(), seen["encoder"])
        assert np.array_equal(batch.actions[row].numpy(), acted)
        assert np.array_equal(batch.weights[row].numpy(), weight)
    assert (batch.lengths == 3).all()


def test_windows_that_end_early_count_for_nothing_there(path):
    data = dataset(path, ["walker/joints_pos"], min_seq_steps=2, max_seq_steps=5, temperature=2.0)
    batch = BatchLoader(data, len(data)).gather(np.arange(len(data)))
    shorter = 0
    for row, (seen, acted, weight) in enumerate(data[index] for index in range(len(data))):
        length = len(acted)
        shorter += length < 5
        assert batch.lengths[row] == length
        assert np.array_equal(batch.observations[row, : len(seen)].numpy(), seen)
        assert (batch.observations[row, len(seen) :] == torch.from_numpy(seen[-1])).all()
        assert np.array_equal(batch.actions[row, :length].numpy(), acted)
        assert np.array_equal(batch.weights[row, :length].numpy(), weight)
        assert not batch.actions[row, length:].any()
        assert not batch.weights[row, length:].any()
    assert shorter > 5


def test_an_epoch_shows_every_sample_once_in_an_order_of_its_own(path):
    data = dataset(path, ["walker/joints_pos"])
    loader = BatchLoader(data, len(data) // 3)
    epochs = [torch.cat([batch.observations for batch in loader]).numpy() for _ in range(2)]
    assert len(loader) == 3
    everything = np.unique(np.stack([data[index][0] for index in range(len(data))]), axis=0)
    for rows in epochs:
        seen = np.unique(rows, axis=0)
        assert len(seen) == 3 * (len(data) // 3)
        assert {row.tobytes() for row in seen} <= {row.tobytes() for row in everything}
    assert not np.array_equal(*epochs)


def test_batches_are_known_by_number_so_that_a_run_can_go_on(path):
    data = dataset(path, ["walker/joints_pos"])
    loader = BatchLoader(data, 7, seed=3)
    passed = [batch.actions.clone() for _ in range(3) for batch in loader]
    again = BatchLoader(data, 7, seed=3)
    assert torch.equal(again.batch(len(loader) + 1).actions, passed[len(loader) + 1])
    assert torch.equal(again.batch(0).actions, passed[0])
    assert not torch.equal(BatchLoader(data, 7, seed=4).batch(0).actions, passed[0])


def test_without_shuffling_the_order_is_the_datasets(path):
    data = dataset(path, ["walker/joints_pos"])
    loader = BatchLoader(data, 5, shuffle=False)
    assert np.array_equal(loader.batch(1).actions.numpy(), np.stack([data[index][1] for index in range(5, 10)]))
    assert torch.equal(loader.batch(len(loader)).actions, loader.batch(0).actions)


def test_memory_is_used_again_only_when_nobody_holds_the_batch(path):
    loader = BatchLoader(dataset(path, ["walker/joints_pos"]), 4)
    kept = loader.batch(0)
    copy, part = kept.observations.clone(), kept.observations[1:, :2]
    place = kept.observations.data_ptr()
    assert loader.batch(1).observations.data_ptr() != place
    assert torch.equal(kept.observations, copy)
    del kept
    assert loader.batch(2).observations.data_ptr() != place, "a part of it is still in use"
    assert torch.equal(part, copy[1:, :2])
    del part
    assert any(loader.batch(number).observations.data_ptr() == place for number in range(3))


def test_gradients_keep_their_batch(path):
    loader = BatchLoader(dataset(path, ["walker/joints_pos"]), 4)
    weight = torch.ones(4, requires_grad=True)
    first = loader.batch(0).observations.clone()
    loss = (loader.batch(0).observations * weight).sum()
    for number in range(1, 4):
        loader.batch(number)
    loss.backward()
    assert torch.allclose(weight.grad, first.sum(dim=0))


def test_a_batch_larger_than_the_dataset_is_refused(path):
    data = dataset(path)
    with pytest.raises(UsageError, match=f"batch of {len(data) + 1} .* {len(data)} samples"):
        BatchLoader(data, len(data) + 1)


def test_shares_make_up_the_batch(path):
    data = dataset(path, VIEWS["decoder"])
    whole = BatchLoader(data, 12, seed=3)
    shares = [BatchLoader(data, 12, seed=3, share=(part, 3)) for part in range(3)]
    for number in (0, 2, len(whole) + 1):
        parts = [share.batch(number).observations for share in shares]
        assert [len(part) for part in parts] == [4, 4, 4]
        assert torch.equal(torch.cat(parts), whole.batch(number).observations)
    with pytest.raises(UsageError, match="cannot be divided among 5"):
        BatchLoader(data, 12, share=(0, 5))
