"""The part of distillation that Lightning runs: batches by number, the loss, the optimizer."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from torch.utils.data import DataLoader, IterableDataset

from mocapact_cli.core.datasets.expert_dataset import ExpertDataset
from mocapact_cli.core.datasets.loader import Batch, BatchLoader
from mocapact_cli.core.policies.distilled import DistilledPolicy
from mocapact_cli.core.training.distillation.config import DistillConfig


class DistillModule(lightning.LightningModule):
    """A policy in training.

    What a step draws depends on the seed and the step's number, so a run that goes on draws what it would have drawn.
    Where several processes learn together, each takes its share of the batch and draws for itself.

    Args:
        policy: Learns.
        config: Of the training.
        first_step: Gradient steps already taken.

    Attributes:
        step: Gradient steps taken, of all sessions together.
        seen: Detached scalars of the last step.
        batch_loss: The policy's loss of a batch, compiled where the settings ask for it.
    """

    def __init__(self, policy: DistilledPolicy, config: DistillConfig, first_step: int = 0) -> None:
        super().__init__()
        self.policy, self.config, self.step = policy, config, first_step
        self.seen: dict[str, torch.Tensor] = {}
        self.optimizer = torch.optim.AdamW(
            policy.parameter_groups(config.weight_decay), lr=config.learning_rate, betas=config.betas
        )
        self.batch_loss = torch.compile(policy.loss) if compiles(config) else policy.loss

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; what Lightning sets dozens of times a step skips PyTorch's search for parameters."""
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; without decay it is Adam."""
        return self.optimizer

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """The loader has put the batch where it belongs."""
        return batch

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Fix what the step draws."""
        rank = self._place[0]
        words = [self.config.seed, self.step, *([rank] if rank else [])]
        fix_draws(int(np.random.SeedSequence(words).generate_state(1)[0]), self.policy.device)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Return the loss of a batch, so that the mean of all processes' gradients is that of the whole batch."""
        size = self._place[1]
        if size > 1 and self.policy.sums_over_batch:
            batch = batch._replace(weights=batch.weights * size)
        loss, self.seen = self.batch_loss(batch)
        return loss

    @property
    def _place(self) -> tuple[int, int]:
        """This process's number and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self._trainer is not None else (0, 1)


def fix_draws(seed: int, device: torch.device) -> None:
    """Seed what is drawn on the processor and on the device.

    Unlike `torch.manual_seed`, which where there is no GPU keeps a note with a stack trace for each call.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def compiles(config: DistillConfig) -> bool:
    """Whether the loss is to be compiled; by itself only on a GPU, where it pays, and with Triton, which does it."""
    if config.compile != "auto":
        return config.compile
    return torch.device(config.device).type == "cuda" and importlib.util.find_spec("triton") is not None


class NumberedBatches(IterableDataset[Batch]):
    """The batches of a loader from a number on, endlessly.

    Args:
        loader: Gives them.
        first: Number of the first one.
    """

    def __init__(self, loader: BatchLoader, first: int) -> None:
        self._loader, self._first = loader, first

    def __iter__(self) -> Iterator[Batch]:
        number = self._first
        while True:
            yield self._loader.batch(number)
            number += 1

    def data_loader(self) -> DataLoader[Any]:
        """Return PyTorch's loader around it, which does nothing: the batches are whole and in place."""
        return DataLoader(self, batch_size=None, num_workers=0)


class SharedBatches(lightning.LightningDataModule):
    """A dataset's batches, of which each process takes its share, on its own device.

    All processes together see the batches that a single one would see, however many they are.

    Args:
        dataset: The samples.
        config: Of the training.
        first: Number of the first batch.
    """

    def __init__(self, dataset: ExpertDataset, config: DistillConfig, first: int) -> None:
        super().__init__()
        self._dataset, self._config, self._first = dataset, config, first

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of this process."""
        trainer = self.trainer
        assert trainer is not None
        loader = BatchLoader(
            self._dataset,
            batch_size(self._config, len(self._dataset), trainer.world_size),
            seed=self._config.seed,
            device=trainer.strategy.root_device,
            share=(trainer.global_rank, trainer.world_size),
        )
        return NumberedBatches(loader, self._first).data_loader()


def batch_size(config: DistillConfig, samples: int, processes: int) -> int:
    """Samples a gradient step: those of the settings, or as many as there are."""
    return min(config.batch_size, samples // processes * processes)
