"""Policies as safetensors and JSON: nothing that could hold code, readable from any language."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli import __version__
from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.errors import InvalidInputError, MocapactError, RunError, naming
from mocapact_cli.core.interop.extras import require
from mocapact_cli.core.interop.normalizers import normalizer_from_dict, normalizer_to_dict
from mocapact_cli.core.interop.policy_interface import EXPERT, largest_difference, model_name, observable_sizes
from mocapact_cli.core.interop.policy_places import SAFETENSORS_SUFFIX
from mocapact_cli.core.interop.safetensors_header import DESCRIPTION_KEY, PURPOSE, read_header
from mocapact_cli.core.json_files import write_json
from mocapact_cli.core.paths import existing_file
from mocapact_cli.core.policies.expert import ExpertNetwork, ExpertPolicy
from mocapact_cli.core.policies.low_level import LowLevelPolicy
from mocapact_cli.core.policies.transfer import TransferPolicy
from mocapact_cli.core.policies.zoo import describe, restore
from mocapact_cli.core.tasks.registry import task_class

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from torch.nn import Module

    from mocapact_cli.core.interop.policy_interface import AnyPolicy
    from mocapact_cli.core.progress import Progress

HIGH_LEVEL, LOW_LEVEL = "high_level.", "low_level."
"""What the parameters' names begin with, where there are two policies."""


def description_file(path: Path | str) -> Path:
    """Return the JSON that lies beside a `.safetensors` file."""
    return Path(path).with_suffix(".json")


def to_safetensors(policy: AnyPolicy, path: Path | str, *, progress: Progress | None = None) -> float:
    """Write a policy's parameters, and the JSON that describes them beside it, after a check that they act the same.

    The description stands in the file's own metadata, too, which is what `load_safetensors` reads: the two files cannot
    be mixed up.

    Args:
        policy: An expert or a multi-clip policy.
        path: The file, such as `policy.safetensors`; `policy.json` is written beside it.
        progress: Told of every step of the check.

    Returns:
        The largest difference of an action between the written policy and the given one: zero.

    Raises:
        MissingDependencyError: The safetensors package is not installed.
        RunError: The written policy acts differently; nothing is written.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in _parameters(policy).items()}
    described = describe_policy(policy)
    # One entry only: the library writes several in an order that changes from run to run.
    metadata = {DESCRIPTION_KEY: json.dumps(described)}
    content: bytes = require_safetensors().save(state, metadata=metadata)
    with atomic_write(path, suffix=SAFETENSORS_SUFFIX) as temporary:
        temporary.write_bytes(content)
        written = load_safetensors(temporary, str(policy.device))
        difference = largest_difference(policy, written.predict, progress=progress)
        if difference != 0.0:
            raise RunError(f"What was written acts differently, by {difference:.2g}; {path} is not kept.")
        write_json(description_file(path), described)
    return difference


def describe_policy(policy: AnyPolicy) -> dict[str, Any]:
    """Return all that a policy is beside its parameters, as plain JSON values.

    `model` and `config` say what it is built from, `observables` with their `sizes` (in the order of a flat
    observation) and `ref_steps` what it sees, `statistics` how that is normalized, `versions` what wrote it.
    """
    return {
        "model": model_name(policy),
        "config": _config(policy),
        "observables": list(policy.observables),
        "sizes": observable_sizes(policy),
        "ref_steps": list(policy.ref_steps),
        "statistics": _statistics(policy),
        "versions": {"mocapact": __version__, "torch": version("torch")},
    }


def _parameters(policy: AnyPolicy) -> dict[str, Tensor]:
    if isinstance(policy, TransferPolicy):
        parts: dict[str, Module] = {HIGH_LEVEL: policy.controller.network}
        if policy.low_level:
            parts[LOW_LEVEL] = policy.low_level.policy
        return {f"{part}{name}": value for part, module in parts.items() for name, value in module.state_dict().items()}
    module = policy.network if isinstance(policy, ExpertPolicy) else policy
    return dict(module.state_dict())


def _config(policy: AnyPolicy) -> Any:
    if isinstance(policy, TransferPolicy):
        return {
            "task": policy.task,
            "high_level": _config(policy.controller),
            "sees": list(policy.controller.observables),
            "low_level": describe(policy.low_level.policy) if policy.low_level else None,
            "max_embed": policy.decoder.bound,
        }
    if not isinstance(policy, ExpertPolicy):
        return describe(policy)["config"]
    network = policy.network
    return {"actor": network.actor_widths, "critic": network.critic_widths, "activation": network.activation}


def _statistics(policy: AnyPolicy) -> dict[str, Any]:
    if isinstance(policy, TransferPolicy):
        return _statistics(policy.controller)
    if isinstance(policy, ExpertPolicy):
        return normalizer_to_dict(policy.normalizer)
    # For readers in other languages; the parameters hold the same numbers.
    return {"mean": policy.features.mean.tolist(), "std": policy.features.std.tolist()}


def load_safetensors(path: Path | str, device: str = "cpu") -> AnyPolicy:
    """Open what `to_safetensors` wrote.

    Args:
        path: The `.safetensors` file.
        device: Where the policy runs.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged, or holds no policy of mocapact.
        MissingDependencyError: The safetensors package is not installed.
    """
    description = read_header(path).description
    if description is None:
        raise InvalidInputError(
            f"{path} holds no policy of mocapact.", hint="It does not describe itself; see `mocapact inspect`."
        )
    state = read_tensors(path)
    if description.get("model") == EXPERT:
        return _expert(description, state, str(path), device)
    if description.get("model") == TransferPolicy.model:
        return _transfer(description, state, str(path), device)
    return restore(description, state, source=str(path), device=device)


def read_tensors(path: Path | str) -> dict[str, Tensor]:
    """Return the tensors in a safetensors file, of mocapact or of others.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged.
        MissingDependencyError: The safetensors package is not installed.
    """
    library, content = require_safetensors(), existing_file(path).read_bytes()
    try:
        state: dict[str, Tensor] = library.load(content)
    except Exception as error:
        raise InvalidInputError(f"{path} is damaged: {error}.") from error
    return state


def _expert(description: Mapping[str, Any], state: Mapping[str, Tensor], source: str, device: str) -> ExpertPolicy:
    normalizer = normalizer_from_dict(description.get("statistics"), source=source)
    config, observables, ref_steps = (description.get(name) for name in ("config", "observables", "ref_steps"))
    sees = _is_list(observables, str) and _is_list(ref_steps, int)
    if not isinstance(config, dict) or not sees:
        raise InvalidInputError(f"{source} does not say what the expert sees.")
    with naming(source):
        network = ExpertNetwork.from_state_dict(state, str(config.get("activation")))
        return ExpertPolicy(network, normalizer, observables or (), ref_steps=ref_steps or (), device=device)


def _transfer(description: Mapping[str, Any], state: Mapping[str, Tensor], source: str, device: str) -> TransferPolicy:
    config = description.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("task"), str):
        raise InvalidInputError(f"{source} does not say what its policies are.")
    high, low = ({n.removeprefix(p): v for n, v in state.items() if n.startswith(p)} for p in (HIGH_LEVEL, LOW_LEVEL))
    seen = {"config": config.get("high_level"), "observables": config.get("sees")}
    controller = _expert({**description, **seen}, high, source, device)
    try:
        below = _low_level(config, low, source, device)
        own = task_class(config["task"]).own_observables
        return TransferPolicy(controller, below, config["task"], own=own)
    except (MocapactError, TypeError, ValueError) as error:
        raise InvalidInputError(f"{source} holds policies that do not fit each other: {error}") from error


def _low_level(
    config: Mapping[str, Any], state: Mapping[str, Tensor], source: str, device: str
) -> LowLevelPolicy | None:
    described = config.get("low_level")
    if not isinstance(described, dict):
        return None
    below = restore(described, state, source=source, device=device)
    return LowLevelPolicy(below, max_embed=float(config["max_embed"]))


def _is_list(values: object, of: type) -> bool:
    return isinstance(values, list) and all(isinstance(value, of) for value in values)


def require_safetensors() -> Any:
    """Return the library that reads and writes.

    Raises:
        MissingDependencyError: It is not installed.
    """
    return require("safetensors.torch", purpose=PURPOSE)
