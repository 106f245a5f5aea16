"""How fast policies are distilled: the whole of `distill train` against the same model on one batch in place."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch

from mocapact_cli.core.bench.dataset import generate_rollouts
from mocapact_cli.core.datasets.expert_dataset import ExpertDataset
from mocapact_cli.core.datasets.loader import Batch, BatchLoader
from mocapact_cli.core.paths import cache_dir
from mocapact_cli.core.policies.device import choose_device
from mocapact_cli.core.policies.distilled import PolicyConfig
from mocapact_cli.core.policies.threads import torch_threads
from mocapact_cli.core.policies.zoo import build_policy, preset
from mocapact_cli.core.processors import available_threads
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.training.distillation.config import DistillConfig
from mocapact_cli.core.training.distillation.module import DistillModule, NumberedBatches
from mocapact_cli.core.training.distillation.trainer import make_trainer, quiet_lightning

ROUNDS = 5
BATCH_SIZES = {"cpu": 64, "cuda": 256}
"""Windows a step: the paper's on a GPU, fewer where a step of those takes seconds."""
STEPS = {"cpu": 6, "cuda": 100}
"""Gradient steps that a turn times, after one that does not count."""
_CLIPS = 2


def measure_distillation(
    threads: int | None = None,
    device: str = "auto",
    *,
    network: PolicyConfig | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure both sides in turns on generated rollouts, several times, and return medians.

    - ours: Lightning with shuffled batches from the dataset, as `distill train` runs it;
    - fixed: the same model, optimizer and limit of the gradient in a bare loop on one batch that stays on the device.

    Args:
        threads: Of PyTorch; default: all processors.
        device: Where it runs.
        network: Default: the paper's NPMP.
        progress: Told of every turn.

    Returns:
        `steps_per_s`, `fixed_batch_steps_per_s`, `of_fixed_batch` and how it was measured.
    """
    progress, device = progress or NullProgress(), choose_device(device)
    kind = torch.device(device).type
    threads = threads or available_threads()
    config = DistillConfig(batch_size=BATCH_SIZES[kind], device=device, threads=threads)
    cache_dir().mkdir(parents=True, exist_ok=True)
    with torch_threads(threads), TemporaryDirectory(prefix="bench-", dir=cache_dir()) as folder:
        module, loader = _set_up(Path(folder), config, network or preset(config.model), progress)
        rounds = _rounds(module, loader, STEPS[kind], progress)
    return {name: float(np.median([row[name] for row in rounds])) for name in rounds[0]} | {
        "model": config.model,
        "batch_size": config.batch_size,
        "window": module.policy.window,
        "device": device,
        "threads": threads,
        "rounds": len(rounds),
    }


def _set_up(
    folder: Path, config: DistillConfig, network: PolicyConfig, progress: Progress
) -> tuple[DistillModule, BatchLoader]:
    policy = build_policy(network, seed=0, device=config.device)
    dataset = ExpertDataset(
        generate_rollouts(folder, _CLIPS, progress),
        policy.observables,
        min_seq_steps=policy.window,
        max_seq_steps=policy.window,
        cache_dir=folder / "flat",
    )
    columns = dataset.columns[""]
    policy.set_statistics(dataset.proprio_mean[columns], dataset.proprio_var[columns])
    return DistillModule(policy, config), BatchLoader(dataset, config.batch_size, device=config.device)


def _rounds(module: DistillModule, loader: BatchLoader, steps: int, progress: Progress) -> list[dict[str, float]]:
    rounds = []
    with progress.task("Distilling", ROUNDS, "rounds") as task:
        for _ in range(ROUNDS):
            ours, fixed = (
                steps / _lightning_seconds(module, loader, steps),
                steps / _bare_seconds(module, loader, steps),
            )
            rounds.append({"steps_per_s": ours, "fixed_batch_steps_per_s": fixed, "of_fixed_batch": ours / fixed})
            task.advance()
    return rounds


class _Stopwatch(lightning.Callback):
    """Times all steps but the first, in which things are set up."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:  # noqa: ARG002
        """Take the time of a step's end."""
        pl_module.step += 1
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())


def _lightning_seconds(module: DistillModule, loader: BatchLoader, steps: int) -> float:
    watch = _Stopwatch()
    with quiet_lightning():
        trainer = make_trainer(module.config, steps + 1, watch)
        trainer.fit(module, NumberedBatches(loader, module.step).data_loader())
    return watch.times[-1] - watch.times[0]


def _bare_seconds(module: DistillModule, loader: BatchLoader, steps: int) -> float:
    batch, policy = loader.batch(0), module.policy
    policy.to(module.config.device).train()
    _bare_step(module, batch)
    begun = time.perf_counter()
    for _ in range(steps):
        _bare_step(module, batch)
    if policy.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def _bare_step(module: DistillModule, batch: Batch) -> None:
    loss, _ = module.batch_loss(batch)
    module.optimizer.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(module.policy.parameters(), module.config.gradient_clip)
    module.optimizer.step()
