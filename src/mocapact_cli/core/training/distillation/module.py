"""The part of distillation that Lightning runs: batches by number, the loss, the optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from torch.utils.data import DataLoader, IterableDataset

from mocapact_cli.core.datasets.loader import Batch, BatchLoader
from mocapact_cli.core.policies.distilled import DistilledPolicy
from mocapact_cli.core.training.distillation.config import DistillConfig


class DistillModule(lightning.LightningModule):
    """A policy in training.

    What a step draws depends on the seed and the step's number, so a run that goes on draws what it would have drawn.

    Args:
        policy: learns. config: of the training. first_step: gradient steps already taken.

    Attributes:
        step: gradient steps taken, of all sessions together.
        seen: detached scalars of the last step.
    """

    def __init__(self, policy: DistilledPolicy, config: DistillConfig, first_step: int = 0) -> None:
        super().__init__()
        self.policy, self.config, self.step = policy, config, first_step
        self.seen: dict[str, torch.Tensor] = {}
        self.optimizer = torch.optim.AdamW(
            policy.parameter_groups(config.weight_decay), lr=config.learning_rate, betas=config.betas
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; without decay it is Adam."""
        return self.optimizer

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Fix what the step draws."""
        torch.manual_seed(int(np.random.SeedSequence([self.config.seed, self.step]).generate_state(1)[0]))

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Return the loss of a batch."""
        loss, self.seen = self.policy.loss(batch)
        return loss


class NumberedBatches(IterableDataset[Batch]):
    """The batches of a loader from a number on, endlessly.

    Args:
        loader: gives them. first: number of the first one.
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
