"""PyTorch's threads are those of its caller again, whatever became of the block."""

import pytest
import torch

from mocapact_cli.core.policies.threads import few_torch_threads, torch_threads


@pytest.fixture(autouse=True)
def five():
    """PyTorch computes on five threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    yield
    torch.set_num_threads(before)


def test_threads_are_those_asked_for_inside_and_those_of_before_afterwards():
    with pytest.raises(KeyError), torch_threads(2):
        assert torch.get_num_threads() == 2
        raise KeyError
    assert torch.get_num_threads() == 5


def test_what_the_block_changes_is_changed_back():
    with torch_threads():
        assert torch.get_num_threads() == 5
        torch.set_num_threads(1)
    assert torch.get_num_threads() == 5


@pytest.mark.parametrize(("physics", "few"), [(1, 1), (8, 2), (64, 5)])
def test_beside_the_physics_they_are_few(physics, few):
    with few_torch_threads(physics):
        assert torch.get_num_threads() == few
    assert torch.get_num_threads() == 5
