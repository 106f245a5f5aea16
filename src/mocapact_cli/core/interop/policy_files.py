"""Policies as safetensors and JSON: nothing that could hold code, readable from any language."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError, MissingDependencyError
from mocapact_cli.core.interop.normalizers import normalizer_from_dict, normalizer_to_dict
from mocapact_cli.core.paths import atomic_write, existing_file, read_json_object, write_json
from mocapact_cli.core.policies.expert import ExpertNetwork, ExpertPolicy
from mocapact_cli.core.policies.zoo import describe, restore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mocapact_cli.core.policies.distilled import DistilledPolicy

    AnyPolicy = ExpertPolicy | DistilledPolicy

WEIGHTS_FILE = "model.safetensors"
DESCRIPTION_FILE = "config.json"
_EXPERT = "expert"


def to_safetensors(policy: AnyPolicy, folder: Path | str) -> Path:
    """Write `model.safetensors` and `config.json`; `load_policy` opens the folder.

    Args:
        policy: An expert or a multi-clip policy.
        folder: Where to; made if need be.

    Returns:
        The path of the weights.

    Raises:
        MissingDependencyError: The safetensors package is not installed.
    """
    module = policy.network if isinstance(policy, ExpertPolicy) else policy
    state = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    weights = Path(folder) / WEIGHTS_FILE
    with atomic_write(weights) as temporary:
        temporary.write_bytes(_safetensors().save(state, metadata={"format": "pt"}))
    write_json(Path(folder) / DESCRIPTION_FILE, describe_policy(policy))
    return weights


def describe_policy(policy: AnyPolicy) -> dict[str, Any]:
    """Return all that a policy is beside its parameters, as plain JSON values."""
    seen = {"observables": list(policy.observables), "ref_steps": list(policy.ref_steps)}
    if not isinstance(policy, ExpertPolicy):
        return describe(policy) | seen
    expert = {"activation": policy.network.activation, "normalizer": normalizer_to_dict(policy.normalizer)}
    return {"model": _EXPERT, **seen, **expert}


def load_safetensors(path: Path | str, device: str = "cpu") -> AnyPolicy:
    """Open what `to_safetensors` wrote.

    Args:
        path: The folder, or the weights in it.
        device: Where the policy runs.

    Raises:
        NotFoundError: A file is missing.
        InvalidInputError: A file is damaged, or the two do not belong together.
        MissingDependencyError: The safetensors package is not installed.
    """
    folder = Path(path).parent if Path(path).suffix == ".safetensors" else Path(path)
    description = read_json_object(folder / DESCRIPTION_FILE, hint="It says which model the weights beside it are of.")
    state = _read_weights(folder / WEIGHTS_FILE)
    if description.get("model") == _EXPERT:
        return _expert(description, state, str(folder / DESCRIPTION_FILE), device)
    return restore(description, state, source=str(folder / WEIGHTS_FILE), device=device)


def _read_weights(path: Path) -> dict[str, Tensor]:
    library = _safetensors()
    content = existing_file(path).read_bytes()
    try:
        state: dict[str, Tensor] = library.load(content)
    except Exception as error:
        raise InvalidInputError(f"{path} is damaged: {error}.") from error
    return state


def _expert(description: Mapping[str, Any], state: Mapping[str, Tensor], source: str, device: str) -> ExpertPolicy:
    normalizer = normalizer_from_dict(description.get("normalizer"), source=source)
    network = ExpertNetwork.from_state_dict(state, str(description.get("activation")))
    observables, ref_steps = description.get("observables"), description.get("ref_steps")
    if not isinstance(observables, list) or not isinstance(ref_steps, list):
        raise InvalidInputError(f"{source} does not say what the expert sees.")
    return ExpertPolicy(network, normalizer, observables, ref_steps=ref_steps, device=device)


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingDependencyError(
            "Reading and writing safetensors needs the package of that name.", hint="pip install 'mocapact[export]'"
        ) from error
    return safetensors.torch
