"""Distilling one policy from a dataset: set-up, resuming, results."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as lightning
import torch

from mocapact_cli.core.config import from_dict, to_dict
from mocapact_cli.core.datasets.expert_dataset import ExpertDataset
from mocapact_cli.core.datasets.loader import BatchLoader
from mocapact_cli.core.errors import InterruptedRunError, InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.policies.device import choose_device
from mocapact_cli.core.policies.distilled import DistilledPolicy, PolicyConfig
from mocapact_cli.core.policies.zoo import build_policy, describe, restore
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.training.distillation.config import DistillConfig
from mocapact_cli.core.training.distillation.module import DistillModule, NumberedBatches
from mocapact_cli.core.training.distillation.monitor import BEST, LAST, DistillMonitor, Standing
from mocapact_cli.core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet

Pairs = Sequence[tuple["Clip", "Snippet"]]


@dataclass(frozen=True)
class DistillResult:
    """A finished training.

    Attributes:
        root: the run's folder. steps: gradient steps. seconds: wall-clock training time.
        stopped_because: why it ended.
        evaluations: rows of the metrics with evaluations in them.
        samples: in the dataset.
    """

    root: Path
    steps: int
    seconds: float
    stopped_because: str
    evaluations: list[dict[str, Any]]
    samples: int

    @property
    def best(self) -> Path:
        """The best model by its evaluations, or the last where there were none."""
        return self.root / BEST if (self.root / BEST).is_file() else self.root / LAST


def distill(
    files: Sequence[Path],
    config: DistillConfig,
    network: PolicyConfig,
    root: Path,
    *,
    pairs: Pairs = (),
    mocap: Sequence[Path] = (),
    val_files: Sequence[Path] = (),
    metrics: Path | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> DistillResult:
    """Train one policy on the rollouts of many experts.

    Args:
        files: rollout files to learn from.
        config: of the training; a resumed run keeps what it began with, but for limits, threads and device.
        network: which policy.
        root: the run's folder.
        pairs: (clip, snippet) pairs to evaluate on. mocap: files that they came from, for the run's record.
        val_files: rollout files to take the loss over at evaluations.
        metrics: `dataset_metrics.npz`; default: beside the files.
        resume: continue the run in `root`. force: replace it.
        progress: told of all that happens.

    Raises:
        UsageError: `root` holds a run, or a setting is impossible.
        NotFoundError: a file or an observable is missing, or there is nothing to resume.
        InvalidInputError: a file or the checkpoint is damaged, or the dataset has other reference steps.
        InterruptedRunError: after Ctrl-C; all is saved.
        RunError: the disk is full, or the loss is no longer a number.
    """
    progress, folder = progress or NullProgress(), RunFolder(root)
    config = replace(config, device=choose_device(config.device))
    policy, standing = build_policy(network, seed=config.seed, device=config.device), Standing()
    optimizer: dict[str, Any] | None = None
    if resume:
        config = _recorded(folder, config)
        policy, standing, optimizer = _load(root, config.device)
    dataset = _open(files, policy, config, metrics, progress)
    validation = _open(val_files, policy, config, metrics, progress) if val_files else None
    folder.prepare(resume=resume, force=force)
    if resume:
        folder.keep_metrics_until(standing.step, by="step")
    else:
        columns = dataset.columns[""]
        policy.set_statistics(dataset.proprio_mean[columns], dataset.proprio_var[columns])
        record = {"kind": "distillation", "training": to_dict(config), "policy": describe(policy)}
        sources = {
            "dataset": [str(file.absolute()) for file in files],
            "mocap": [str(file.absolute()) for file in mocap],
        }
        evaluated = [str(snippet) for _, snippet in pairs]
        folder.write_record(record | sources | {"snippets": evaluated}, config.seed, config.threads)
    module = DistillModule(policy, config, standing.step)
    if optimizer is not None:
        module.optimizer.load_state_dict(optimizer)
    loader = BatchLoader(dataset, min(config.batch_size, len(dataset)), seed=config.seed, device=config.device)
    held = None if validation is None else BatchLoader(validation, min(config.batch_size, len(validation)))
    with progress.task(f"Distilling {config.model}", config.max_steps, "steps") as task:
        monitor = DistillMonitor(folder, config, standing, pairs, held, task, progress)
        _fit(module, loader, monitor, config)
    evaluations = [row for row in folder.metrics() if "val_loss" in row or "norm_return" in row]
    return DistillResult(root, standing.step, monitor.seconds, monitor.stopped_because, evaluations, len(dataset))


_CHANGEABLE = ("max_steps", "max_minutes", "threads", "device", "n_eval_episodes")


def _recorded(folder: RunFolder, config: DistillConfig) -> DistillConfig:
    """The settings that a run began with, with the limits of now."""
    settings = folder.read_config().get("training")
    if not isinstance(settings, dict):
        raise InvalidInputError(f"{folder.root} has no record of its settings.", hint="Start again with --force.")
    return from_dict(DistillConfig, settings | {name: getattr(config, name) for name in _CHANGEABLE})


def _load(root: Path, device: str) -> tuple[DistilledPolicy, Standing, dict[str, Any]]:
    """Read the checkpoint of a run that goes on."""
    path = root / LAST
    if not path.is_file():
        raise NotFoundError(f"There is no checkpoint in {root}.", hint="Start again with --force.")
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        policy = restore(content["hyper_parameters"], content["state_dict"], source=str(path), device=device)
        return policy.train(), Standing(**content["standing"]), content["optimizer_states"][0]
    except (RuntimeError, KeyError, TypeError, ValueError, EOFError, IndexError, pickle.UnpicklingError) as error:
        raise InvalidInputError(f"{path} cannot be resumed: {error}", hint="Start again with --force.") from error


def _open(
    files: Sequence[Path], policy: DistilledPolicy, config: DistillConfig, metrics: Path | None, progress: Progress
) -> ExpertDataset:
    dataset = ExpertDataset(
        files,
        policy.observables,
        metrics,
        min_seq_steps=policy.window,
        max_seq_steps=policy.window,
        return_mean_act=config.return_mean_act,
        clip_len_upsampling=config.clip_len_upsampling,
        n_start_rollouts=config.n_start_rollouts,
        n_rsi_rollouts=config.n_rsi_rollouts,
        progress=progress,
        **config.weights(),
    )
    looks_ahead = any(name.startswith("walker/reference_") for name in policy.observables)
    if looks_ahead and tuple(dataset.ref_steps) != policy.ref_steps:
        steps = ", ".join(map(str, dataset.ref_steps))
        raise InvalidInputError(
            f"The dataset's references look {steps} steps ahead, the policy's {', '.join(map(str, policy.ref_steps))}.",
            hint="Set ref_steps of the policy in a configuration file, or record with other --ref-steps.",
        )
    if not len(dataset):
        raise UsageError(f"No episode of the dataset has {policy.window} steps.", hint="Choose another model.")
    return dataset


def _fit(module: DistillModule, loader: BatchLoader, monitor: DistillMonitor, config: DistillConfig) -> None:
    left = config.max_steps - module.step
    if left <= 0:
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(config.threads or threads)
    try:
        with quiet_lightning():
            trainer = make_trainer(config, left, monitor)
            trainer.fit(module, NumberedBatches(loader, module.step).data_loader())
    except (KeyboardInterrupt, SystemExit) as error:
        # Lightning turns Ctrl-C into an exit of its own.
        monitor.save(module)
        raise InterruptedRunError(
            f"Stopped after {module.step:,} steps; all is saved in {monitor.folder.root}.",
            hint="Continue with --resume.",
        ) from error
    finally:
        torch.set_num_threads(threads)
    monitor.finish(module)


def make_trainer(config: DistillConfig, steps: int, callback: lightning.Callback) -> lightning.Trainer:
    """Return a trainer that takes so many gradient steps and leaves everything else to the callback."""
    kind = torch.device(config.device).type
    index = torch.device(config.device).index
    return lightning.Trainer(
        accelerator="gpu" if kind == "cuda" else "cpu",
        devices=1 if kind != "cuda" or index is None else [index],
        max_steps=steps,
        max_epochs=-1,
        precision="bf16-mixed" if config.precision == "bf16" else "32-true",
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
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", module="lightning_fabric")
            yield
    finally:
        logger.setLevel(level)
