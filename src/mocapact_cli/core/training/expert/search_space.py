"""Which settings of expert training a search varies, and between what."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mocapact_cli.core.config import apply_overrides, load_settings
from mocapact_cli.core.errors import UsageError, did_you_mean
from mocapact_cli.core.training.expert.config import ExpertConfig

Space = Mapping[str, Any]
"""Setting -> a list of values, or a table with `low`, `high` and perhaps `log`."""

DEFAULT_SPACE: dict[str, Any] = {
    "desired_kl": {"low": 0.05, "high": 0.4, "log": True},
    "gamma": [0.97, 0.98, 0.99, 0.995],
    "gae_lambda": [0.9, 0.95, 0.97],
    "train_error_threshold": {"low": 0.1, "high": 0.3},
    "layers": [[256, 256], [512, 512]],
}
"""What is varied where nothing else is asked for."""
_FIXED = (
    *("preset", "seed", "total_timesteps", "max_minutes", "threads", "device"),
    *("eval_every", "eval_min_steps", "n_rsi_episodes", "rsi_act_noise", "n_start_episodes", "start_act_noise"),
    *("termination_error_threshold", "stop_norm_length", "stop_patience", "stop_min_gain"),
)
"""Settings that say how much is done, where, and how it is judged: were they varied, trials could not be compared."""


def read_space(path: Path, base: ExpertConfig) -> dict[str, Any]:
    """The space that a TOML file describes, every setting a list of values or a table with `low` and `high`.

    Args:
        path: The file.
        base: The settings that are not varied.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It is not TOML.
        UsageError: A setting is unknown, cannot be varied, or has values that it cannot take.
    """
    space = load_settings(path)
    check_space(space, base)
    return space


def check_space(space: Space, base: ExpertConfig) -> None:
    """Raise a `UsageError` unless every setting exists and can have the values at its ends.

    Args:
        space: The space.
        base: The settings that are not varied.
    """
    if not space:
        raise UsageError("The space of the search is empty.", hint="Name at least one setting and its values.")
    known = [field.name for field in dataclasses.fields(ExpertConfig) if field.name not in _FIXED]
    for name, wanted in space.items():
        if name not in known:
            if name in _FIXED:
                raise UsageError(f"{name} cannot be varied: trials are compared at equal length, by equal rules.")
            hint = did_you_mean(name, known) or f"Settings: {', '.join(known)}."
            raise UsageError(f"{name} is not a setting of expert training.", hint=hint)
        for value in _ends(name, wanted):
            apply_overrides(base, {name: value})


def distributions(space: Space, optuna: Any) -> dict[str, Any]:
    """Optuna's distributions of a space that `check_space` accepts.

    Args:
        space: The space.
        optuna: The package.
    """
    hints = typing.get_type_hints(ExpertConfig)
    return {name: _distribution(wanted, hints[name], optuna) for name, wanted in space.items()}


def settings_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a trial's parameters stand for."""
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in params.items()}


def _ends(name: str, wanted: Any) -> list[Any]:
    if isinstance(wanted, list) and wanted:
        return wanted
    bounds = set(wanted) if isinstance(wanted, dict) else set()
    if not {"low", "high"} <= bounds <= {"low", "high", "log"} or not _is_range(wanted):
        raise UsageError(
            f"{name} is to be varied over {wanted!r}.",
            hint=f"Give values, {name} = [a, b], or ends, {name} = {{ low = a, high = b, log = true }}.",
        )
    return [wanted["low"], wanted["high"]]


def _is_range(wanted: Mapping[str, Any]) -> bool:
    """Whether the ends are numbers in their order, and above zero where their logarithm is needed."""
    low, high, log = wanted["low"], wanted["high"], wanted.get("log", False)
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
    return numbers and isinstance(log, bool) and low < high and (low > 0 or not log)


def _distribution(wanted: Any, hint: Any, optuna: Any) -> Any:
    if isinstance(wanted, list):
        # Optuna's choices are plain values, so that lists are among them as text; then all are.
        return optuna.distributions.CategoricalDistribution([json.dumps(value) for value in wanted])
    whole = int in (hint, *typing.get_args(hint))
    kind = optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution
    return kind(wanted["low"], wanted["high"], log=wanted.get("log", False))
