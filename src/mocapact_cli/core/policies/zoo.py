"""All models for many clips by name, and how they are built from plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mocapact_cli.core.config import from_dict, to_dict
from mocapact_cli.core.errors import InvalidInputError, MocapactError, check_known
from mocapact_cli.core.formatting import shown
from mocapact_cli.core.policies.gpt import GptConfig, GptPolicy
from mocapact_cli.core.policies.hierarchical import HierarchicalConfig, HierarchicalPolicy
from mocapact_cli.core.policies.mcp import McpConfig, McpPolicy
from mocapact_cli.core.policies.mlp import MlpConfig, MlpPolicy
from mocapact_cli.core.policies.npmp import NpmpConfig, NpmpPolicy
from mocapact_cli.core.sim.observables import TIME_INDEX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mocapact_cli.core.policies.distilled import DistilledPolicy, PolicyConfig

_CLASSES: dict[type[PolicyConfig], type[Any]] = {
    MlpConfig: MlpPolicy,
    HierarchicalConfig: HierarchicalPolicy,
    NpmpConfig: NpmpPolicy,
    McpConfig: McpPolicy,
    GptConfig: GptPolicy,
}
_CONFIGS: dict[str, type[PolicyConfig]] = {policy.model: config for config, policy in _CLASSES.items()}
PRESETS: dict[str, PolicyConfig] = {
    "npmp": NpmpConfig(),
    "mlp-reference": MlpConfig(),
    "mlp-time-index": MlpConfig(observables=TIME_INDEX),
    "hierarchical": HierarchicalConfig(),
    "mcp": McpConfig(),
    "gpt": GptConfig(),
}
"""Name of each model on the command line -> its configuration in the paper."""


def preset(name: str) -> PolicyConfig:
    """Return the paper's configuration of a model.

    Raises:
        UsageError: There is no such model.
    """
    check_known(name, PRESETS, "model")
    return PRESETS[name]


def build_policy(config: PolicyConfig, *, seed: int | None = None, device: str = "cpu") -> DistilledPolicy:
    """Build the policy of a configuration with random parameters; `seed` fixes them and what the policy draws."""
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        policy: DistilledPolicy = _CLASSES[type(config)](config)
    if seed is not None:
        policy.seed(seed)
    return policy.to(device)


def describe(policy: DistilledPolicy) -> dict[str, Any]:
    """Return what `restore` builds the policy from, beside its parameters, as plain JSON values."""
    return {"model": policy.model, "config": to_dict(policy.config)}


def restore(
    description: Mapping[str, Any], parameters: Mapping[str, Tensor], *, source: str, device: str = "cpu"
) -> DistilledPolicy:
    """Build the policy of a description with the given parameters and buffers, ready to act.

    Raises:
        InvalidInputError: The description or the parameters are not those of a policy, or do not fit each other.
    """
    config = described_config(description, source)
    try:
        # Nothing is allocated before the parameters are known to fit: a forged size costs nothing.
        with torch.device("meta"):
            policy: DistilledPolicy = _CLASSES[type(config)](config)
        policy.load_state_dict({name: value.float() for name, value in parameters.items()}, assign=True)
    except (MocapactError, RuntimeError, TypeError, AttributeError) as error:
        problem = str(error).strip().splitlines()
        reason = problem[1 if len(problem) > 1 else 0].strip()
        raise InvalidInputError(f"{source} does not hold the parameters of its model: {reason}") from error
    if not all(bool(torch.isfinite(value).all()) for value in policy.state_dict().values()):
        raise InvalidInputError(f"{source} holds parameters that are not finite.")
    if not bool((policy.features.std > 0).all()):
        raise InvalidInputError(f"{source} holds statistics that are not those of observations.")
    return policy.to(device).eval()


def described_config(description: Mapping[str, Any], source: str) -> PolicyConfig:
    """Return the configuration in a description.

    Args:
        description: What `describe` returned.
        source: Where it comes from, for messages.

    Raises:
        InvalidInputError: It is not that of a policy.
    """
    model, values = description.get("model"), description.get("config")
    if not isinstance(model, str) or model not in _CONFIGS or not isinstance(values, dict):
        raise InvalidInputError(f"{source} holds no model that is known: {shown(model)}.")
    try:
        return from_dict(_CONFIGS[model], values)
    except MocapactError as error:
        raise InvalidInputError(f"{source}: {error.message}", hint=error.hint) from error
