"""Policies as ONNX: one step of acting, from observations and state to actions and state."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from mocapact_cli.core.errors import MissingDependencyError, RunError
from mocapact_cli.core.paths import atomic_write, existing_file
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.gpt import GptPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from mocapact_cli.core.policies.base import Float32Array
    from mocapact_cli.core.policies.distilled import DistilledPolicy

    AnyPolicy = ExpertPolicy | DistilledPolicy

TOLERANCE = 1e-4
"""Largest difference of an action that passes the check."""
_OBSERVATIONS, _ACTIONS = "observations", "actions"
_CHECKED_BATCH = 3


class _Step(nn.Module):
    """One deterministic step of a multi-clip policy."""

    def __init__(self, policy: DistilledPolicy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, observations: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return actions in [-1, 1] and the next state."""
        actions, *following = self.policy.step(observations, *state)
        return (actions.clamp(-1.0, 1.0), *following)


class _ExpertStep(nn.Module):
    """The actor of an expert with its normalizer."""

    def __init__(self, policy: ExpertPolicy) -> None:
        super().__init__()
        self.network, self.limit = policy.network, policy.normalizer.clip_obs
        self.register_buffer("mean", torch.as_tensor(policy.normalizer.mean, dtype=torch.float64))
        scale = np.sqrt(policy.normalizer.var + policy.normalizer.epsilon)
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float64))
        self.mean: Tensor
        self.scale: Tensor

    def forward(self, observations: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:  # noqa: ARG002
        """Return actions in [-1, 1]."""
        normalized = (observations.double() - self.mean) / self.scale
        means = self.network.mean_actions(normalized.clamp(-self.limit, self.limit).float())
        return (means.clamp(-1.0, 1.0),)


def to_onnx(policy: AnyPolicy, path: Path | str) -> float:
    """Write a policy's step as ONNX, after a check that onnxruntime acts as the policy does.

    Inputs are `observations` (B, P), flat in the order of the policy's `observables`, and the state: `embedding` (B, E)
    where there is an embedding, `context` (B, block, P) and `fill` (B,) of a GPT; all zeros at an episode's start.
    Outputs are `actions` (B, A) and the state for the next step, `next_...`. `observables` and `ref_steps` are in the
    file's metadata, as JSON.

    Args:
        policy: An expert or a multi-clip policy.
        path: The file.

    Returns:
        The largest difference of an action between onnxruntime and the policy.

    Raises:
        MissingDependencyError: The packages for it are not installed.
        RunError: onnxruntime acts differently; nothing is written.
    """
    _require("onnx", "onnxscript", "onnxruntime")
    with atomic_write(path, suffix=".onnx") as temporary:
        temporary.write_bytes(_export(policy))
        difference = onnx_difference(policy, temporary)
        if not difference <= TOLERANCE:
            raise RunError(
                f"onnxruntime's actions differ by {difference:.2g} from the policy's; {path} is not written."
            )
    return difference


def onnx_difference(policy: AnyPolicy, path: Path | str, *, seed: int = 0) -> float:
    """Return the largest difference between actions of an ONNX file and of the policy, over an episode of noise.

    Raises:
        NotFoundError: There is no such file.
        MissingDependencyError: onnxruntime is not installed.
    """
    runtime = _require("onnxruntime")
    session = runtime.InferenceSession(str(existing_file(path)), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(seed)
    state: Any = None
    fed = dict(zip(_state_names(policy), _initial(policy, _CHECKED_BATCH), strict=True))
    largest = 0.0
    for _ in range(_episode_length(policy)):
        observations = _noise(policy, rng)
        actions, *following = session.run(None, {_OBSERVATIONS: observations, **fed})
        expected, state = policy.predict(observations, state)
        largest = max(largest, float(np.abs(actions - expected).max()))
        fed = dict(zip(fed, following, strict=True))
    return largest


def _export(policy: AnyPolicy) -> bytes:
    module = _ExpertStep(policy) if isinstance(policy, ExpertPolicy) else _Step(policy)
    state = tuple(torch.from_numpy(part) for part in _initial(policy, _CHECKED_BATCH))
    batch = torch.export.Dim("batch", min=1, max=1 << 20)
    names = _state_names(policy)
    with _quiet():
        traced = torch.export.export(
            # A copy, so that the policy itself stays where and as it is.
            copy.deepcopy(module).to("cpu").eval(),
            (torch.zeros(_CHECKED_BATCH, policy.obs_size), state),
            dynamic_shapes=({0: batch}, tuple({0: batch} for _ in state)),
        )
        program = torch.onnx.export(
            traced,
            dynamo=True,
            input_names=[_OBSERVATIONS, *names],
            output_names=[_ACTIONS, *(f"next_{name}" for name in names)],
        )
    model = cast("Any", program).model_proto
    _name_batch(model.graph)
    for key, value in {"observables": list(policy.observables), "ref_steps": list(policy.ref_steps)}.items():
        model.metadata_props.add(key=key, value=json.dumps(value))
    return cast("bytes", model.SerializeToString())


def _name_batch(graph: Any) -> None:
    """Call the size that is free `batch`; the exporter gives it a name of its own."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = "batch"


def _state_names(policy: AnyPolicy) -> tuple[str, ...]:
    if isinstance(policy, GptPolicy):
        return ("context", "fill")
    return ("embedding",) if _initial(policy, 1) else ()


def _initial(policy: AnyPolicy, batch: int) -> Sequence[Any]:
    state = None if isinstance(policy, ExpertPolicy) else policy.initial_state(batch)
    if state is None:
        return ()
    return state if isinstance(state, tuple) else (state,)


def _episode_length(policy: AnyPolicy) -> int:
    """Steps until everything has happened that a step can do: a context fills and moves on."""
    return policy.window + 2 if isinstance(policy, GptPolicy) else 4


def _noise(policy: AnyPolicy, rng: np.random.Generator) -> Float32Array:
    """Return observations like those that the policy was trained on."""
    noise = rng.standard_normal((_CHECKED_BATCH, policy.obs_size), np.float32)
    if isinstance(policy, ExpertPolicy):
        mean, std = policy.normalizer.mean, np.sqrt(policy.normalizer.var)
    else:
        mean, std = policy.features.mean.cpu().numpy(), policy.features.std.cpu().numpy()
    return np.asarray(mean + std * noise, dtype=np.float32)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter, which prints and warns about itself, from saying anything."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _require(*names: str) -> ModuleType:
    """Import packages and return the last."""
    import importlib

    try:
        return [importlib.import_module(name) for name in names][-1]
    except ImportError as error:
        raise MissingDependencyError(
            f"ONNX files need the packages {', '.join(names)}.", hint="pip install 'mocapact[export]'"
        ) from error
