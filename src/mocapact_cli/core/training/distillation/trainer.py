"""Lightning's trainer: everything of its own that we do ourselves is switched off, and it keeps quiet."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import pytorch_lightning as lightning
import torch
from pytorch_lightning.strategies import DDPStrategy

from mocapact_cli.core.training.distillation.config import DistillConfig
from mocapact_cli.core.training.distillation.processes import world_size

_PRECISIONS: Mapping[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}
"""Our names -> Lightning's."""


def make_trainer(config: DistillConfig, steps: int, callback: lightning.Callback) -> lightning.Trainer:
    """Return a trainer that takes so many gradient steps and leaves everything else to the callback.

    Args:
        config: Of the training, with the devices of this machine as `placed` gives them.
        steps: Gradient steps.
        callback: Told of every step.
    """
    kind, index = torch.device(config.device).type, torch.device(config.device).index
    joined = world_size(config) > 1 or config.strategy == "ddp"
    return lightning.Trainer(
        accelerator="gpu" if kind == "cuda" else "cpu",
        devices=config.devices if kind != "cuda" or index is None else [index],
        num_nodes=config.num_nodes,
        # The only buffers are statistics, which are the same everywhere from the start.
        strategy=DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True) if joined else "auto",
        max_steps=steps,
        max_epochs=-1,
        precision=_PRECISIONS[config.precision],
        gradient_clip_val=config.gradient_clip,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        inference_mode=False,
    )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's notices off the terminal inside the block; what matters is said by the callback."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", module="lightning_fabric")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def end_launched(trainer: lightning.Trainer | None) -> None:
    """End the processes that Lightning started: they would wait for this one."""
    launcher = trainer.strategy.launcher if trainer is not None else None
    if launcher is not None:
        launcher.kill(signal.SIGKILL)
