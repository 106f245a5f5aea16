"""How many threads PyTorch computes on while something runs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def torch_threads(number: int | None = None) -> Iterator[None]:
    """Let PyTorch compute on so many threads inside the block, and afterwards on as many as before.

    Args:
        number: Of threads; None for as many as it has, where the block itself may change that.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def few_torch_threads(physics_threads: int) -> Iterator[None]:
    """Keep PyTorch's threads few inside the block.

    The physics has its own threads on the same cores, and PyTorch's wait for each other by spinning: on busy cores a
    small layer then takes ten times as long on two threads as on one.

    Args:
        physics_threads: Threads that step the physics meanwhile.
    """
    import torch

    with torch_threads(max(1, min(torch.get_num_threads(), physics_threads // 4))):
        yield
