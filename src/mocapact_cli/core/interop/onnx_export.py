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

from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.errors import RunError, first_line
from mocapact_cli.core.interop.extras import require
from mocapact_cli.core.interop.policy_interface import (
    BATCH,
    initial_state,
    inputs,
    largest_difference,
    model_name,
    observable_sizes,
    outputs,
)
from mocapact_cli.core.interop.policy_places import ONNX_SUFFIX
from mocapact_cli.core.paths import existing_file
from mocapact_cli.core.policies.embedding import DECODER
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.transfer import TransferPolicy
from mocapact_cli.core.progress import NullProgress, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mocapact_cli.core.interop.policy_interface import Act, AnyPolicy
    from mocapact_cli.core.policies.base import Float32Array
    from mocapact_cli.core.policies.distilled import DistilledPolicy

TOLERANCE = 1e-5
"""Largest difference of an action that passes the check."""
_TRACED_BATCH = 3
_PURPOSE = "ONNX files"


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

    def __init__(self, policy: ExpertPolicy, act_limit: float = 1.0) -> None:
        super().__init__()
        self.act_limit = act_limit
        self.network, self.limit = policy.network, policy.normalizer.clip_obs
        self.register_buffer("mean", torch.as_tensor(policy.normalizer.mean, dtype=torch.float64))
        scale = np.sqrt(policy.normalizer.var + policy.normalizer.epsilon)
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float64))
        self.mean: Tensor
        self.scale: Tensor

    def forward(self, observations: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:  # noqa: ARG002
        """Return actions within their limit."""
        normalized = (observations.double() - self.mean) / self.scale
        means = self.network.mean_actions(normalized.clamp(-self.limit, self.limit).float())
        return (means.clamp(-self.act_limit, self.act_limit),)


class _TransferStep(nn.Module):
    """A task's actor and the decoder, if it has one, that does what it says."""

    def __init__(self, policy: TransferPolicy) -> None:
        super().__init__()
        self.seen = policy.decoder.seen
        self.actor = _ExpertStep(policy.controller, policy.decoder.bound)
        self.below = policy.low_level.policy if policy.low_level else None
        self.register_buffer("columns", torch.from_numpy(policy.decoder.columns))
        self.columns: Tensor

    def forward(self, observations: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return actions in [-1, 1]."""
        (embeddings,) = self.actor(observations[:, : self.seen], state)
        if self.below is None:
            return (embeddings,)
        features = self.below.features.normalized(DECODER, observations[:, self.columns])
        return (self.below.decode(features, embeddings)[0].clamp(-1.0, 1.0),)


def require_onnx() -> None:
    """Make sure that all is there that writing and checking needs.

    Raises:
        MissingDependencyError: A package is not.
    """
    require("onnx", "onnxscript", "onnxruntime", purpose=_PURPOSE)


def to_onnx(policy: AnyPolicy, path: Path | str, *, progress: Progress | None = None) -> float:
    """Write a policy's step as ONNX, after a check that onnxruntime acts as the policy does.

    Inputs are `observations` (B, P), flat in the order of the policy's `observables`, and the state: `embedding` (B, E)
    where there is an embedding, `context` (B, block, P) and `fill` (B,) of a GPT; all zeros at an episode's start.
    Outputs are `actions` (B, A) and the state for the next step, `next_...`. The file's metadata has `kind`, the name
    of the model, and as JSON `observables`, their `sizes` and `ref_steps`.

    Args:
        policy: An expert or a multi-clip policy.
        path: The file.
        progress: Told what goes on, and of every step of the check.

    Returns:
        The largest difference of an action between onnxruntime and the policy.

    Raises:
        MissingDependencyError: The packages for it are not installed.
        RunError: The policy cannot be exported, or onnxruntime acts differently; nothing is written.
    """
    require_onnx()
    with atomic_write(path, suffix=ONNX_SUFFIX) as temporary:
        with (progress or NullProgress()).task("Translating"):
            temporary.write_bytes(_export(policy))
        difference = onnx_difference(policy, temporary, progress=progress)
        if not difference <= TOLERANCE:
            raise RunError(
                f"onnxruntime's actions differ by {difference:.2g} from the policy's; {path} is not written.",
                hint=f"Allowed are {TOLERANCE:g}. Another version of torch or onnxruntime may do better.",
            )
    return difference


def onnx_difference(policy: AnyPolicy, path: Path | str, *, seed: int = 0, progress: Progress | None = None) -> float:
    """Return the largest difference between actions of an ONNX file and of the policy, over episodes of noise.

    Raises:
        NotFoundError: There is no such file.
        MissingDependencyError: Onnxruntime is not installed.
        RunError: Onnxruntime cannot run it.
    """
    runtime = require("onnxruntime", purpose=_PURPOSE)
    path = existing_file(path)
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return largest_difference(policy, _actor(policy, session), seed=seed, progress=progress)
    except Exception as error:
        raise RunError(f"onnxruntime cannot run the exported policy: {first_line(error)}.") from error


def _actor(policy: AnyPolicy, session: Any) -> Act:
    names = [port.name for port in inputs(policy)]

    def act(observations: Float32Array, state: Any) -> tuple[NDArray[Any], Any]:
        given = initial_state(policy, len(observations)) if state is None else state
        actions, *following = session.run(None, dict(zip(names, (observations, *given), strict=True)))
        return actions, following

    return act


def _export(policy: AnyPolicy) -> bytes:
    try:
        module = _step(policy)
        model = _traced(module, policy)
        _name_batch(model.graph)
        for key, value in _metadata(policy).items():
            model.metadata_props.add(key=key, value=value)
        return cast("bytes", model.SerializeToString())
    # The exporter and protobuf each have exceptions of their own.
    except Exception as error:
        raise RunError(f"The policy cannot be written as ONNX: {first_line(error)}.") from error


def _step(policy: AnyPolicy) -> nn.Module:
    if isinstance(policy, TransferPolicy):
        return _TransferStep(policy)
    return _ExpertStep(policy) if isinstance(policy, ExpertPolicy) else _Step(policy)


def _traced(module: nn.Module, policy: AnyPolicy) -> Any:
    state = tuple(torch.from_numpy(part) for part in initial_state(policy, _TRACED_BATCH))
    batch = torch.export.Dim(BATCH, min=1, max=1 << 20)
    with _quiet():
        traced = torch.export.export(
            # A copy, so that the policy itself stays where and as it is.
            copy.deepcopy(module).to("cpu").eval(),
            (torch.zeros(_TRACED_BATCH, policy.obs_size), state),
            dynamic_shapes=({0: batch}, tuple({0: batch} for _ in state)),
        )
        program = torch.onnx.export(
            traced,
            dynamo=True,
            input_names=[port.name for port in inputs(policy)],
            output_names=[port.name for port in outputs(policy)],
        )
    return cast("Any", program).model_proto


def _metadata(policy: AnyPolicy) -> dict[str, str]:
    seen = {
        "observables": list(policy.observables),
        "sizes": observable_sizes(policy),
        "ref_steps": list(policy.ref_steps),
    }
    return {"kind": model_name(policy), **{key: json.dumps(value) for key, value in seen.items()}}


def _name_batch(graph: Any) -> None:
    """Call the size that is free `batch`; the exporter gives it a name of its own."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = BATCH


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
