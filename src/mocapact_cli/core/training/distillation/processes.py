"""Several processes that learn together: which of them this one is, and how they stop together."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import torch
from torch import distributed

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.device import choose_device
from mocapact_cli.core.training.distillation.config import DistillConfig

_PATIENCE = timedelta(days=7)
"""How long processes wait for the one that evaluates."""


def placed(config: DistillConfig) -> DistillConfig:
    """Return the settings with the devices of this machine in place of `auto` and -1.

    Raises:
        UsageError: This machine has no such devices, they lack the precision, or a batch cannot be divided.
    """
    device = choose_device(config.device)
    config = replace(config, device=device, devices=_devices(device, config.devices))
    if config.batch_size % world_size(config):
        raise UsageError(
            f"A batch of {config.batch_size} cannot be divided among {world_size(config)} processes.",
            hint="Give a multiple of their number as --batch-size.",
        )
    _check_precision(device, config.precision)
    return config


def world_size(config: DistillConfig) -> int:
    """Processes on all machines."""
    return config.devices * config.num_nodes


def rank(config: DistillConfig) -> int:
    """This process's number among all; 0 for the one that evaluates, writes and speaks.

    What launches the processes says so in the environment: Lightning, torchrun or SLURM.
    """
    if world_size(config) == 1:
        return 0
    whole = next((os.environ[name] for name in ("RANK", "SLURM_PROCID") if name in os.environ), None)
    if whole is not None:
        return int(whole)
    return int(os.environ.get("NODE_RANK", "0")) * config.devices + int(os.environ.get("LOCAL_RANK", "0"))


class Agreement:
    """Lets all processes stop after the same step.

    It has a channel of its own, on which the others may wait for an evaluation as long as it takes; what exchanges
    gradients on GPUs gives up after minutes.

    Args:
        size: Number of processes, all of which make one.
    """

    def __init__(self, size: int) -> None:
        self._group = distributed.new_group(backend="gloo", timeout=_PATIENCE) if size > 1 else None

    def stop(self, *, wanted: bool) -> bool:
        """Whether the first process wants to stop, told to all; each calls this after every step."""
        if self._group is None:
            return wanted
        flag = torch.tensor([wanted])
        distributed.broadcast(flag, src=0, group=self._group)
        return bool(flag)


def _devices(device: str, wanted: int) -> int:
    kind, index = torch.device(device).type, torch.device(device).index
    if kind != "cuda":
        return 1 if wanted == -1 else wanted
    there = torch.cuda.device_count()
    if wanted != 1 and index is not None:
        raise UsageError(f"--device {device} is one GPU.", hint="Give --device cuda with --devices.")
    if wanted > there:
        raise UsageError(f"There are {there} GPUs here, not {wanted}.", hint="Give --devices -1 for all of them.")
    return there if wanted == -1 else wanted


def _check_precision(device: str, precision: str) -> None:
    on_gpu = torch.device(device).type == "cuda"
    if precision == "fp16" and not on_gpu:
        raise UsageError("The precision fp16 needs a GPU.", hint="Use 32 or bf16.")
    if precision == "bf16" and on_gpu and not torch.cuda.is_bf16_supported():
        raise UsageError("This GPU does not compute in bf16.", hint="Use fp16 or 32.")
