"""Whole batches of an `ExpertDataset` at once, as PyTorch tensors, on the device that learns."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from mocapact_cli.core.datasets.shuffle import Permutation
from mocapact_cli.core.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mocapact_cli.core.datasets.expert_dataset import ExpertDataset

GPU_SHARE = 0.5
"""Share of the free memory of a GPU that the dataset may take."""


class Batch(NamedTuple):
    """B samples: single steps, or windows of L steps.

    Windows that are shorter go on with their last observation, actions of zero and weights of zero.

    Attributes:
        observations: (B, C) or (B, L, C), in a dictionary where the dataset gives one.
        actions: (B, A) or (B, L, A).
        weights: (B,) or (B, L).
        lengths: (B,) steps of each window that have an action.
    """

    observations: Any
    actions: torch.Tensor
    weights: torch.Tensor
    lengths: torch.Tensor


class BatchLoader:
    """Shuffled batches, endlessly and from any number on: batch k is the same whoever asks for it and when.

    Iterating gives one epoch, and the next epoch the next time. Memory of batches that nobody holds any more is used
    again, which is several times faster than asking the system for it.

    Args:
        dataset: What is gathered.
        batch_size: B.
        shuffle: In a random order, another one each epoch; otherwise in the dataset's.
        seed: Of the orders.
        device: Where the batches go. A GPU holds the whole dataset where it fits.
        share: (r, n) for the r-th of n equal parts of every batch, which processes that learn together divide.

    Raises:
        UsageError: The dataset has fewer samples than a batch, or a batch cannot be divided.
    """

    def __init__(
        self,
        dataset: ExpertDataset,
        batch_size: int,
        *,
        shuffle: bool = True,
        seed: int = 0,
        device: torch.device | str = "cpu",
        share: tuple[int, int] = (0, 1),
    ) -> None:
        if batch_size % share[1]:
            raise UsageError(
                f"A batch of {batch_size} cannot be divided among {share[1]} processes.", hint="Use a multiple of them."
            )
        if not 1 <= batch_size <= len(dataset):
            raise UsageError(
                f"A batch of {batch_size} cannot be taken from {len(dataset)} samples.", hint="Use a smaller batch."
            )
        self.dataset, self.batch_size = dataset, batch_size
        self._shuffle, self._seed, self._device, self._share = shuffle, seed, torch.device(device), share
        store = dataset.store
        arrays = {**store.views, _ACTIONS: store.actions, _WEIGHTS: dataset.row_weights}
        at = self._device if _fits(arrays, self._device) else torch.device("cpu")
        self._arrays = {name: _tensor(array).to(at) for name, array in arrays.items()}
        self._window = torch.arange(dataset.max_seq_steps)
        self._memory = _Memory()
        self._scales = {view: self._scale(columns) for view, columns in dataset.columns.items()}
        self._act_scale = tuple(torch.from_numpy(part) for part in (dataset.act_mean, dataset.act_std))
        self._epoch = 0
        self._order: tuple[int, Permutation] | None = None

    def __len__(self) -> int:
        """Whole batches of an epoch."""
        return len(self.dataset) // self.batch_size

    def __iter__(self) -> Iterator[Batch]:
        first = self._epoch * len(self)
        self._epoch += 1
        return (self.batch(number) for number in range(first, first + len(self)))

    def batch(self, number: int) -> Batch:
        """Batch `number`, counted from the beginning of the first epoch, or the loader's share of it."""
        epoch, place = divmod(number, len(self))
        size = self.batch_size // self._share[1]
        begin = place * self.batch_size + self._share[0] * size
        places = slice(begin, begin + size)
        return self.gather(self._permutation(epoch)[places] if self._shuffle else np.arange(places.start, places.stop))

    def gather(self, indices: NDArray[np.int64]) -> Batch:
        """The samples `indices` (B,)."""
        rows = self.dataset.rows(indices)
        first, lengths = torch.from_numpy(rows.first), torch.from_numpy(rows.lengths)
        views = {name: self._take(name, first, lengths) for name in self._scales}
        actions, weights = (self._take(name, first, lengths) for name in (_ACTIONS, _WEIGHTS))
        self._normalize(views, actions)
        if self.dataset.is_sequential and bool((lengths < len(self._window)).any()):
            missing = (self._window >= lengths[:, None]).to(weights.device)
            weights.masked_fill_(missing, 0.0)
            actions.masked_fill_(missing[..., None], 0.0)
        moved = {name: values.to(self._device, non_blocking=True) for name, values in views.items()}
        return Batch(
            self.dataset.arranged(moved),
            *(values.to(self._device, non_blocking=True) for values in (actions, weights, lengths)),
        )

    def _permutation(self, epoch: int) -> Permutation:
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, Permutation(len(self.dataset), self._seed, epoch)
        return self._order[1]

    def _take(self, name: str, first: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Rows of an array: (B, ...) or (B, L, ...); a window stays inside its episode."""
        array = self._arrays[name]
        rows = first
        if self.dataset.is_sequential:
            rows = (first[:, None] + torch.minimum(self._window, lengths[:, None])).flatten()
        shape = (len(rows), *array.shape[1:])
        taken = self._memory.tensor(name, shape) if array.device.type == "cpu" else array.new_empty(shape)
        torch.index_select(array, 0, rows.to(array.device), out=taken)
        return taken.view(len(first), -1, *array.shape[1:]) if self.dataset.is_sequential else taken

    def _normalize(self, views: dict[str, torch.Tensor], actions: torch.Tensor) -> None:
        if self.dataset.normalizes_obs:
            for name, values in views.items():
                _scale(values, *self._scales[name])
        if self.dataset.normalizes_act:
            _scale(actions, *self._act_scale)

    def _scale(self, columns: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        mean, deviation = self.dataset.proprio_mean[columns], self.dataset.proprio_std[columns]
        return torch.from_numpy(mean), torch.from_numpy(deviation)


_ACTIONS, _WEIGHTS = " actions", " weights"
"""Names beside those of the views, which people choose."""


class _Memory:
    """Buffers that are handed out again once no tensor lies in them any more."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, tuple[int, ...]], list[NDArray[np.float32]]] = {}

    def tensor(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """A tensor of float32 whose content is arbitrary."""
        buffers = self._buffers.setdefault((name, shape), [])
        for number in range(len(buffers)):
            # PyTorch holds one reference for all tensors that share the memory; ours are the list's and the argument.
            if sys.getrefcount(buffers[number]) == _UNUSED:
                return torch.from_numpy(buffers[number])
        buffers.append(np.empty(shape, dtype=np.float32))
        return torch.from_numpy(buffers[-1])


def _references_of_an_unused_buffer() -> int:
    buffers = [np.empty(1, dtype=np.float32)]
    return sys.getrefcount(buffers[0])


_UNUSED = _references_of_an_unused_buffer()


def _scale(values: torch.Tensor, mean: torch.Tensor, deviation: torch.Tensor) -> None:
    values.sub_(mean.to(values.device)).div_(deviation.to(values.device))


def _tensor(array: NDArray[np.float32]) -> torch.Tensor:
    with warnings.catch_warnings():
        # The map is read only and so are we.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def _fits(arrays: dict[str, NDArray[np.float32]], device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return sum(array.nbytes for array in arrays.values()) < GPU_SHARE * free
