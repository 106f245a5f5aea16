"""Experts as Stable-Baselines3 zips: read without running anything, written so that stock `PPO.load` opens them."""

from __future__ import annotations

import base64
import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.formatting import shown
from mocapact_cli.core.safe import archives, pickles
from mocapact_cli.core.safe.allow_list import MODEL
from mocapact_cli.core.safe.checkpoints import read_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mocapact_cli.core.policies.expert import ExpertPolicy

_JSON_LIMIT, _HUGE = 1 << 26, 1 << 63
_WEIGHTS, _PICKLED = "policy.pth", ":serialized:"
_CLASS_NAME = re.compile(r"<class '(?:[\w.]+\.)?(\w+)'>")
EXTRA_MEMBER = "mocapact.json"
"""What mocapact keeps in the zip beside Stable-Baselines3's members, which ignores it."""


@dataclass(frozen=True)
class Sb3Archive:
    """What a model zip says without its pickles.

    Attributes:
        hyperparameters: The plain numbers among the algorithm's attributes, such as `gamma` and `num_timesteps`.
        policy_kwargs: Plain fields of the policy's arguments; classes are given by name.
        extra: Mocapact's own record; empty in zips of others.
    """

    hyperparameters: Mapping[str, float | int | bool | None]
    policy_kwargs: Mapping[str, Any]
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def activation(self) -> str:
        """Name of the activation; Stable-Baselines3's default is Tanh."""
        match = _CLASS_NAME.fullmatch(str(self.policy_kwargs.get("activation_fn", "<class 'Tanh'>")))
        return match[1] if match else str(self.policy_kwargs["activation_fn"])

    @property
    def observables(self) -> tuple[str, ...]:
        """What the policy sees, as far as the zip says."""
        extractor = self.policy_kwargs.get("features_extractor_kwargs")
        keys = extractor.get("observable_keys") if isinstance(extractor, dict) else None
        named = self.extra.get("observables") or keys
        return tuple(str(name) for name in named) if isinstance(named, list) else ()


def read_description(path: Path | str) -> Sb3Archive:
    """Read what a model zip says about itself; weights are not touched.

    Its pickled attributes are read by an allow-list, though none of them is used: who loads the zip with other
    software would run them.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged, hostile or not a Stable-Baselines3 model.
    """
    with archives.open_zip(path) as archive:
        data = _json_object(archive, "data")
        extra = _json_object(archive, EXTRA_MEMBER) if EXTRA_MEMBER in archive.namelist() else {}
    for name, value in data.items():
        if isinstance(value, dict) and _PICKLED in value:
            _check_pickled(value[_PICKLED], f"{path}: {shown(name)}")
    plain = {key: value for key, value in data.items() if value is None or _is_number(value)}
    policy_kwargs = data.get("policy_kwargs")
    return Sb3Archive(plain, policy_kwargs if isinstance(policy_kwargs, dict) else {}, extra)


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < _HUGE)


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """Read the policy's parameters from a model zip: weights only, everything else is refused.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged, or holds anything but tensors.
    """
    with archives.open_zip(path) as archive:
        content = archives.read_member(archive, _WEIGHTS)
    return read_parameters(content, source=f"{path}: {_WEIGHTS}")


def _check_pickled(encoded: object, source: str) -> None:
    """See that what an attribute was pickled to is allowed."""
    try:
        content = base64.b64decode(encoded if isinstance(encoded, str) else "-", validate=True)
    except ValueError as error:
        raise InvalidInputError(f"{source} is not a pickle in base64.") from error
    pickles.loads(content, MODEL, source=source)


def _json_object(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    try:
        value = json.loads(archives.read_member(archive, name, limit=_JSON_LIMIT))
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{archive.filename}: {name} is not JSON.") from error
    if not isinstance(value, dict):
        raise InvalidInputError(f"{archive.filename}: {name} is not a JSON object.")
    return value


def write_sb3_zip(
    path: Path,
    policy: ExpertPolicy,
    extra: Mapping[str, Any],
    hyperparameters: Mapping[str, Any],
    *,
    bound: float = 1.0,
) -> None:
    """Write an expert as a stock PPO model with a Box observation space and no classes of mocapact.

    Args:
        path: The (temporary) file to write.
        policy: The expert.
        extra: Mocapact's own record, as JSON.
        hyperparameters: Numbers of the algorithm, such as `gamma`, `n_steps`, `learning_rate`, `num_timesteps`.
        bound: Limit of the actions.
    """
    model = _stock_ppo(policy, hyperparameters, bound)
    model.save(str(path))
    # `save` adds .zip to names without a suffix of its own; a name that has one is kept.
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(EXTRA_MEMBER, json.dumps(extra))


def _stock_ppo(policy: ExpertPolicy, hyperparameters: Mapping[str, Any], bound: float) -> Any:
    from gymnasium.spaces import Box
    from stable_baselines3 import PPO

    from mocapact_cli.core.policies.networks import ACTIVATIONS

    network = policy.network
    arguments, attributes = _split_hyperparameters(hyperparameters)
    model = PPO(
        "MlpPolicy",
        env=None,  # type: ignore[arg-type]
        device="cpu",
        policy_kwargs={
            "net_arch": {"pi": network.actor_widths, "vf": network.critic_widths},
            "activation_fn": ACTIVATIONS[network.activation],
            "log_std_init": float(network.log_std[0]),
        },
        _init_setup_model=False,
        **arguments,
    )
    model.observation_space = Box(-np.inf, np.inf, (policy.obs_size,), np.float32)
    model.action_space = Box(-bound, bound, (len(policy.std),), np.float32)
    model.n_envs = 1
    model._setup_model()
    model.policy.load_state_dict({name: value.cpu() for name, value in network.state_dict().items()})
    for name, value in attributes.items():
        setattr(model, name, value)
    return model


_ATTRIBUTES = ("num_timesteps", "_total_timesteps", "seed")
_ARGUMENTS = (
    *("learning_rate", "n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda"),
    *("clip_range", "ent_coef", "vf_coef", "max_grad_norm", "target_kl"),
)


def _split_hyperparameters(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return PPO's arguments and its later attributes among the given numbers; other entries are not PPO's."""
    arguments = {name: values[name] for name in _ARGUMENTS if name in values}
    return {"n_steps": 2, "batch_size": 2} | arguments, {name: values[name] for name in _ATTRIBUTES if name in values}
