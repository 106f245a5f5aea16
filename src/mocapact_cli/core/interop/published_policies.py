"""What published checkpoints of multi-clip policies say of themselves, in our words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.policies.embedding import DECODER, ENCODER
from mocapact_cli.core.policies.networks import MAX_LAYERS
from mocapact_cli.core.safe.stand_ins import Inert
from mocapact_cli.core.sim.observables import ObservableLayout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

_STATISTICS = ("features.mean", "features.std")
_UNUSED = ".attn.mask"


def convert(values: Mapping[str, Any], state: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what `zoo.restore` takes for a published policy.

    Args:
        values: The checkpoint's hyper-parameters.
        state: Its parameters.

    Raises:
        InvalidInputError: They are of no model that is known.
        AttributeError, KeyError, TypeError, ValueError: Something is missing or of the wrong type.
    """
    model = _model(state)
    config = _common(values) | _CONVERTERS[model](values)
    names = _all_observables(config)
    parameters = {name: value for name, value in state.items() if not name.endswith(_UNUSED)}
    statistics = _statistics(values, names, config["ref_steps"])
    return {"model": model, "config": config}, parameters | dict(zip(_STATISTICS, statistics, strict=True))


def _model(state: Mapping[str, Tensor]) -> str:
    """Tell the model by its parameters' names: the class is named only in another file."""
    prefixes = {name.split(".", 1)[0] for name in state}
    parts = {"mlp": "mlp", "gpt": "gpt", "primitives": "mcp", "action_decoder": "npmp"}
    for part, model in parts.items():
        if part in prefixes:
            return model
    raise InvalidInputError("its parameters are of no model that is known")


def _common(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ref_steps": [int(step) for step in values["ref_steps"]],
        "act_size": int(values["action_space"].state["_shape"][0]),
        "std_dev": float(values.get("std_dev", 0.1)),
        "squash_output": bool(values.get("squash_output", False)),
        "clip_obs": None,
    }


def _mlp(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "observables": _names(values["observables"]),
        "layers": _widths(values["n_layers"], values["layer_size"]),
        "activation": _activation(values),
    }


def _gpt(values: Mapping[str, Any]) -> dict[str, Any]:
    sizes = {name: int(values[name]) for name in ("block_size", "n_layer", "n_head", "n_embd")}
    rates = {name: float(values[name]) for name in ("embd_pdrop", "resid_pdrop", "attn_pdrop")}
    return {"observables": _names(values["observables"]), **sizes, **rates}


def _embedding(values: Mapping[str, Any]) -> dict[str, Any]:
    views = _plain(values["observables"])
    return {
        "encoder_observables": _names(views[ENCODER]),
        "decoder_observables": _names(views[DECODER]),
        "embed_size": int(values["embed_size"]),
        "encoder_layers": _widths(values["ref_encoder_n_layers"], values["ref_encoder_layer_size"]),
        "activation": _activation(values),
        "layer_norm": bool(values["layer_norm"]),
        "embedding_kl_weight": float(values["embedding_kl_weight"]),
        "embedding_correlation": float(values["embedding_correlation"]),
        "seq_steps": int(values["seq_steps"]),
    }


def _npmp(values: Mapping[str, Any]) -> dict[str, Any]:
    return _embedding(values) | {
        "recurrent_encoder": bool(values["recurrent_encoder"]),
        "decoder_layers": _widths(values["decoder_n_layers"], values["decoder_layer_size"]),
    }


def _mcp(values: Mapping[str, Any]) -> dict[str, Any]:
    return _embedding(values) | {
        "n_primitives": int(values["n_primitives"]),
        "gating_layers": _widths(values["gating_n_layers"], values["gating_layer_size"]),
        "shared_layers": _widths(values["n_shared_primitive_layers"], values["shared_primitive_layer_size"]),
        "primitive_layers": _widths(values["n_primitive_layers"], values["primitive_layer_size"]),
        "min_primitive_std": float(values["min_primitive_std"]),
    }


_CONVERTERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "mlp": _mlp,
    "gpt": _gpt,
    "npmp": _npmp,
    "mcp": _mcp,
}


def _plain(value: Any) -> Any:
    """Return the fields of a ConfigDict; anything else as it is."""
    return value.state["_fields"] if isinstance(value, Inert) else value


def _names(value: Any) -> list[str]:
    return [str(name) for name in _plain(value)]


def _widths(count: Any, size: Any) -> list[int]:
    if not 0 <= int(count) <= MAX_LAYERS:
        raise InvalidInputError(f"a network of {count} layers is not built")
    return [int(size)] * int(count)


def _activation(values: Mapping[str, Any]) -> str:
    return str(values["activation_fn"]).rpartition(".")[2]


def _all_observables(config: Mapping[str, Any]) -> list[str]:
    lists = [config[name] for name in ("observables", "encoder_observables", "decoder_observables") if name in config]
    return list(dict.fromkeys(name for names in lists for name in names))


def _statistics(values: Mapping[str, Any], names: Sequence[str], ref_steps: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return what observations are normalized by, for each column; nothing where the policy does not normalize."""
    import torch

    observed = (values["features_extractor_kwargs"] or {}).get("obs_rms")
    if observed is None:
        size = ObservableLayout(names, ref_steps).size
        return torch.zeros(size), torch.ones(size)
    parts = [observed[name].state for name in names]
    means = np.concatenate([np.asarray(part["mean"], np.float32) for part in parts])
    variances = np.concatenate([np.asarray(part["var"], np.float32) for part in parts])
    return torch.from_numpy(means), torch.from_numpy(np.sqrt(variances + np.float32(1e-8)))
