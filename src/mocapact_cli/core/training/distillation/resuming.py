"""Going on with a distillation: what its folder says it is, and whether it can be that again."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mocapact_cli.core.config import from_dict
from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.policies.distilled import DistilledPolicy
from mocapact_cli.core.policies.zoo import described_config, restore
from mocapact_cli.core.training.distillation.config import DistillConfig, Settings
from mocapact_cli.core.training.distillation.data import Division
from mocapact_cli.core.training.distillation.monitor import LAST, Standing
from mocapact_cli.core.training.run_folder import RunFolder

_OF_NOW = (
    "max_steps",
    "max_minutes",
    "threads",
    "device",
    "devices",
    "num_nodes",
    "strategy",
    "compile",
    "eval_modes",
    "n_eval_episodes",
    "save_every_minutes",
)
"""Settings that a run may go on with changed: they change nothing that is learned."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint.

    Attributes:
        policy: As it was.
        standing: Where the run stood.
        optimizer: Its state.
        scaler: Of mixed precision.
    """

    policy: DistilledPolicy
    standing: Standing
    optimizer: dict[str, Any]
    scaler: dict[str, Any]


def recorded(root: Path) -> dict[str, Any]:
    """Return the record of the distillation in a folder.

    Raises:
        NotFoundError: There is no run.
        InvalidInputError: It is damaged, or of another kind.
    """
    record = RunFolder(root).read_config()
    if not isinstance(record.get("training"), dict) or not isinstance(record.get("policy"), dict):
        raise InvalidInputError(f"{root} holds no distillation.", hint="Start one in another --output-root.")
    return record


def recorded_model(root: Path) -> str | None:
    """Return the name of the model that the run in a folder trains."""
    name = recorded(root)["training"].get("model")
    return name if isinstance(name, str) else None


def settings_to_resume(record: dict[str, Any], config: DistillConfig, root: Path) -> DistillConfig:
    """Return the settings that a run began with, with the limits and the machine of now.

    Raises:
        UsageError: The run trains another model.
        InvalidInputError: The record is damaged.
    """
    model = record["training"].get("model")
    if model != config.model:
        raise UsageError(
            f"{root} holds a run that trains {model}, not {config.model}.",
            hint=f"Leave out --model to go on with it, or train {config.model} in another --output-root.",
        )
    return from_dict(DistillConfig, record["training"] | {name: getattr(config, name) for name in _OF_NOW})


def recorded_settings(root: Path, config: DistillConfig) -> Settings:
    """Return all settings with which the run in a folder would go on.

    Args:
        root: The folder.
        config: What is asked for now.

    Raises:
        NotFoundError: There is no run.
        UsageError: The run trains another model.
        InvalidInputError: The record is damaged.
    """
    record = recorded(root)
    training = settings_to_resume(record, config, root)
    return Settings(training, described_config(record["policy"], str(root)))


def check_same_data(record: dict[str, Any], data: Division, samples: int) -> None:
    """Compare the data of a run with what it began with.

    Raises:
        UsageError: They differ.
    """
    began = record.get("dataset") or {}
    if sorted(began.get("snippets", ())) != sorted(data.train.snippets) or record.get("samples") != samples:
        raise UsageError(
            f"The run began with {record.get('samples')} samples of {len(began.get('snippets', ()))} snippets; "
            f"here are {samples} of {len(data.train.snippets)}.",
            hint="Leave out --dataset to go on with what it began with, or start again with --force.",
        )


def load_saved(root: Path, record: dict[str, Any], device: str) -> Saved | None:
    """Read the checkpoint of a run that goes on; None where it was killed before its first one.

    Raises:
        InvalidInputError: It is damaged, or of another model than the run's.
    """
    path = root / LAST
    if not path.is_file():
        return None
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        description = content["hyper_parameters"]
        if description != record["policy"]:
            raise InvalidInputError(
                f"{path} holds another policy ({description['model']}) than the run trains "
                f"({record['policy'].get('model')}).",
                hint="Start again with --force.",
            )
        policy = restore(description, content["state_dict"], source=str(path), device=device)
        return Saved(
            policy.train(),
            Standing(**content["standing"]),
            content["optimizer_states"][0],
            content.get("precision") or {},
        )
    except (RuntimeError, KeyError, TypeError, ValueError, EOFError, IndexError, pickle.UnpicklingError) as error:
        raise InvalidInputError(f"{path} cannot be resumed: {error}", hint="Start again with --force.") from error
