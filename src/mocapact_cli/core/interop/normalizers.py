"""Observation and reward statistics of experts: as JSON, and as the pickled VecNormalize of Stable-Baselines3."""

from __future__ import annotations

import dataclasses
import io
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.formatting import shortened
from mocapact_cli.core.policies.expert import Normalizer
from mocapact_cli.core.safe import pickles
from mocapact_cli.core.safe.allow_list import VECNORMALIZE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mocapact_cli.core.safe.stand_ins import Inert

_LARGEST = 1 << 28
"""Bytes: the published ones take some thousands."""


def normalizer_to_dict(normalizer: Normalizer) -> dict[str, Any]:
    """Return the statistics as plain lists and numbers, exact to the last bit in JSON."""
    return {
        field.name: value.tolist() if isinstance(value := getattr(normalizer, field.name), np.ndarray) else value
        for field in dataclasses.fields(normalizer)
    }


def normalizer_from_dict(data: object, *, source: str) -> Normalizer:
    """Read the statistics from plain lists and numbers.

    Raises:
        InvalidInputError: Something is missing or not a number.
    """
    names = {field.name for field in dataclasses.fields(Normalizer)}
    if not isinstance(data, dict) or not names.issuperset(data):
        raise InvalidInputError(f"{source} does not hold the statistics of a normalizer.")
    try:
        arrays = {name: np.asarray(data[name], dtype=np.float64) for name in ("mean", "var")}
        numbers = {name: float(value) for name, value in data.items() if name not in arrays}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        said = shortened(str(error))
        raise InvalidInputError(f"{source} does not hold the statistics of a normalizer: {said}.") from error
    return _checked(Normalizer(arrays["mean"], arrays["var"], **numbers), source)


def read_vecnormalize(path: Path | str, observables: Sequence[str]) -> Normalizer:
    """Read the statistics out of a pickled VecNormalize, without running it.

    Args:
        path: The pickle, such as a published expert's `vecnormalize.pkl`.
        observables: The observables whose statistics are wanted, where there are some for each observable.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged, hostile or lacks an observable.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist.", hint="An expert's normalizer lies beside its model.")
    if path.stat().st_size > _LARGEST:
        raise InvalidInputError(f"{path} is too large for the statistics of a normalizer.")
    content = pickles.loads(path.read_bytes(), VECNORMALIZE, source=str(path))
    try:
        return _checked(_from_state(content.state, observables), str(path))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"{path} is not a normalizer as expected: {shortened(repr(error))}.") from error


def _from_state(state: Mapping[str, Any], observables: Sequence[str]) -> Normalizer:
    observed, returns = state["obs_rms"], state["ret_rms"].state
    parts: list[Inert] = [observed[name] for name in observables] if isinstance(observed, dict) else [observed]
    return Normalizer(
        mean=np.concatenate([np.asarray(part.state["mean"], dtype=np.float64) for part in parts]),
        var=np.concatenate([np.asarray(part.state["var"], dtype=np.float64) for part in parts]),
        count=float(parts[0].state["count"]),
        return_mean=float(returns["mean"]),
        return_var=float(returns["var"]),
        return_count=float(returns["count"]),
        **{name: float(state[name]) for name in ("clip_obs", "clip_reward", "epsilon", "gamma")},
    )


def _checked(normalizer: Normalizer, source: str) -> Normalizer:
    mean, var = normalizer.mean, normalizer.var
    sound = mean.ndim == 1 and mean.shape == var.shape and bool(np.isfinite(mean).all() and np.isfinite(var).all())
    if not sound or bool((var < 0).any()) or not normalizer.return_var >= 0:
        raise InvalidInputError(f"{source} holds statistics that are not means and variances.")
    return normalizer


def vecnormalize_bytes(normalizer: Normalizer, act_size: int) -> bytes:
    """Return a pickled stock VecNormalize with these statistics, for `VecNormalize.load` of Stable-Baselines3."""
    from stable_baselines3.common.vec_env import VecNormalize

    # Its constructor wants environments, which would be thrown away: the pickle is its state without them.
    wrapper = VecNormalize.__new__(VecNormalize)
    wrapper.__dict__.update(_vecnormalize_state(normalizer, act_size))
    buffer = io.BytesIO()
    pickle.dump(wrapper, buffer, protocol=4)
    return buffer.getvalue()


def _vecnormalize_state(normalizer: Normalizer, act_size: int) -> dict[str, Any]:
    from gymnasium.spaces import Box
    from stable_baselines3.common.running_mean_std import RunningMeanStd

    def statistics(mean: Any, var: Any, count: float) -> RunningMeanStd:
        result = RunningMeanStd(shape=np.shape(mean))
        result.mean, result.var, result.count = np.asarray(mean), np.asarray(var), count
        return result

    unused: dict[str, Any] = {"venv": None, "class_attributes": {}, "returns": np.zeros(1)}
    return unused | {
        "num_envs": 1,
        "render_mode": None,
        "observation_space": Box(-np.inf, np.inf, normalizer.mean.shape, np.float32),
        "action_space": Box(-1.0, 1.0, (act_size,), np.float32),
        "reset_infos": [],
        "obs_rms": statistics(normalizer.mean, normalizer.var, normalizer.count),
        "ret_rms": statistics(normalizer.return_mean, normalizer.return_var, normalizer.return_count),
        "clip_obs": normalizer.clip_obs,
        "clip_reward": normalizer.clip_reward,
        "gamma": normalizer.gamma,
        "epsilon": normalizer.epsilon,
        "norm_obs": True,
        "norm_obs_keys": None,
        "norm_reward": True,
        "training": False,
        "old_reward": np.array([]),
    }
