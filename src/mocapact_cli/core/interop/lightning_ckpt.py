"""Checkpoints of multi-clip policies: ours and published ones, read without unpickling anything freely.

Ours are Lightning checkpoints too, but hold plain values beside tensors, so that PyTorch's weights-only reader opens
them: `hyper_parameters` is `{"model": name, "config": plain values}`, and `state_dict` has the policy's parameters and
statistics, alone or as the `policy.` of a training module.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.errors import InvalidInputError, MocapactError
from mocapact_cli.core.formatting import shortened
from mocapact_cli.core.interop.published_policies import convert
from mocapact_cli.core.policies.zoo import describe, restore
from mocapact_cli.core.safe.checkpoints import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mocapact_cli.core.policies.distilled import DistilledPolicy

MODULE_PREFIX = "policy."
"""What parameters' names begin with where a training module holds the policy as its `policy`."""
_COMPILED = "_orig_mod."


def load_checkpoint(path: Path | str, device: str = "cpu") -> DistilledPolicy:
    """Open a multi-clip policy, ours or a published one; nothing in the file is executed.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged, hostile or of another kind.
    """
    checkpoint = read_checkpoint(path)
    state = checkpoint.tensors("state_dict")
    values = checkpoint.content.get("hyper_parameters")
    if not isinstance(values, dict):
        raise InvalidInputError(f"{path} does not say which model it is of: it has no hyper-parameters.")
    if isinstance(values.get("model"), str):
        own = _own_parameters(state)
        return restore(values, own, source=str(path), device=device)
    try:
        description, parameters = convert(values, state)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"{path} is not a policy as expected: {shortened(repr(error))}.") from error
    except MocapactError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.message.rstrip('.')}.", hint=error.hint) from error
    return restore(description, parameters, source=str(path), device=device)


def _own_parameters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the policy's parameters by their own names, whatever module or compiled module held it."""
    named = {name.replace(_COMPILED, ""): value for name, value in state.items()}
    held = {name.removeprefix(MODULE_PREFIX): value for name, value in named.items() if name.startswith(MODULE_PREFIX)}
    return held or named


def write_checkpoint(path: Path | str, policy: DistilledPolicy, extra: Mapping[str, Any] | None = None) -> Path:
    """Write a policy as a Lightning checkpoint of plain values, atomically.

    Args:
        path: The file, such as `model/last.ckpt`.
        policy: The policy.
        extra: Further plain values at its top level, such as `global_step`.
    """
    import torch

    content: dict[str, Any] = {"epoch": 0, "global_step": 0, **(extra or {})}
    content["pytorch-lightning_version"] = version("pytorch-lightning")
    content["hyper_parameters"] = describe(policy)
    content["state_dict"] = {name: value.detach().cpu().contiguous() for name, value in policy.state_dict().items()}
    with atomic_write(path) as temporary:
        torch.save(content, temporary)
    return Path(path)
