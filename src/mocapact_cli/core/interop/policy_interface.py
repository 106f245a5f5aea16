"""A policy as others see it: arrays in, arrays out, and whether a copy of it acts as it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.gpt import GptPolicy
from mocapact_cli.core.policies.transfer import TransferPolicy
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.sim.observables import observable_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from mocapact_cli.core.policies.base import Float32Array
    from mocapact_cli.core.policies.distilled import DistilledPolicy

    AnyPolicy = ExpertPolicy | DistilledPolicy | TransferPolicy
    Act = Callable[[Float32Array, Any], tuple[NDArray[Any], Any]]

EXPERT = "expert"
"""What an expert is called beside the names of models for many clips."""
OBSERVATIONS, ACTIONS, BATCH, NEXT = "observations", "actions", "batch", "next_"
_SHORT = 4
_CHECKED = ((1, False), (3, True), (8, False))
"""Sizes of the batches in which a copy is compared with its policy, and whether a GPT's context fills in them."""


@dataclass(frozen=True)
class Port:
    """An array that goes in or comes out at every step.

    Attributes:
        name: Such as `observations`.
        shape: Sizes; `batch` where any will do.
        dtype: Such as `float32`.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "float32"


def model_name(policy: AnyPolicy) -> str:
    """Return the name of a policy's model; `expert` for experts."""
    return EXPERT if isinstance(policy, ExpertPolicy) else policy.model


def inputs(policy: AnyPolicy) -> tuple[Port, ...]:
    """Return what one step takes: flat observations, then the state."""
    return (Port(OBSERVATIONS, (BATCH, policy.obs_size)), *_state_ports(policy))


def outputs(policy: AnyPolicy) -> tuple[Port, ...]:
    """Return what one step gives: actions, then the state for the next step, in the order of the inputs."""
    return (
        Port(ACTIONS, (BATCH, _act_size(policy))),
        *(Port(NEXT + port.name, port.shape, port.dtype) for port in _state_ports(policy)),
    )


def _act_size(policy: AnyPolicy) -> int:
    if isinstance(policy, TransferPolicy):
        return policy.act_size
    return len(policy.std) if isinstance(policy, ExpertPolicy) else policy.config.act_size


def initial_state(policy: AnyPolicy, batch: int) -> tuple[NDArray[Any], ...]:
    """Return the arrays of a policy's state at an episode's start; none where it has no state."""
    state = None if isinstance(policy, ExpertPolicy | TransferPolicy) else policy.initial_state(batch)
    if state is None:
        return ()
    return tuple(state) if isinstance(state, tuple) else (state,)


def observable_sizes(policy: AnyPolicy) -> list[int]:
    """Return the columns of each of a policy's observables.

    Raises:
        InvalidInputError: They do not add up to what its network takes.
    """
    if isinstance(policy, TransferPolicy):
        return policy.decoder.sizes
    sizes = [observable_size(name, len(policy.ref_steps)) for name in policy.observables]
    if sum(sizes) != policy.obs_size:
        raise InvalidInputError(
            f"The policy's observables have {sum(sizes)} columns at its reference steps, its network {policy.obs_size}."
        )
    return sizes


def largest_difference(policy: AnyPolicy, act: Act, *, seed: int = 0, progress: Progress | None = None) -> float:
    """Return the largest difference of an action between a policy and what should act like it.

    Both go through episodes of random observations, in batches of several sizes, each with its own state.

    Args:
        policy: The policy.
        act: Takes observations (B, P) and the last state (None at first); returns actions (B, A) and the next state.
        seed: Of the observations.
        progress: Told of every step.

    Returns:
        The difference; not a number if an action is not.
    """
    rng = np.random.default_rng(seed)
    plan = [(batch, _long_episode(policy) if long else _SHORT) for batch, long in _CHECKED]
    found: list[np.floating] = []
    with (progress or NullProgress()).task("Checking", sum(steps for _, steps in plan), unit="steps") as task:
        for batch, steps in plan:
            for difference in _differences(
                policy, act, (_random_observations(policy, batch, rng) for _ in range(steps))
            ):
                found.append(difference)
                task.advance()
    # NumPy's maximum keeps what is not a number, Python's may not.
    return float(np.max(found))


def _differences(policy: AnyPolicy, act: Act, episode: Iterable[Float32Array]) -> Iterator[np.floating]:
    state = others = None
    for observations in episode:
        expected, state = policy.predict(observations, state)
        actions, others = act(observations, others)
        yield np.abs(actions - expected).max()


def _long_episode(policy: AnyPolicy) -> int:
    """Steps until everything has happened that a step can do: a context fills and moves on."""
    return policy.window + 2 if isinstance(policy, GptPolicy) else _SHORT


def _random_observations(policy: AnyPolicy, batch: int, rng: np.random.Generator) -> Float32Array:
    """Return observations like those that the policy was trained on, a few of them beyond its limit of normalized ones.

    Student's t with 3 degrees of freedom: one value in 500 lies beyond ten.
    """
    noise = rng.standard_t(3, (batch, policy.obs_size))
    seen = policy.controller if isinstance(policy, TransferPolicy) else policy
    if isinstance(seen, ExpertPolicy):
        mean, std = seen.normalizer.mean, np.sqrt(seen.normalizer.var)
    else:
        mean, std = seen.features.mean.cpu().numpy(), seen.features.std.cpu().numpy()
    # What only a low-level policy sees, and not the controller above it, comes last and stays as drawn.
    noise[:, : len(mean)] = mean + std * noise[:, : len(mean)]
    return np.asarray(noise, dtype=np.float32)


def _state_ports(policy: AnyPolicy) -> tuple[Port, ...]:
    names = ("context", "fill") if isinstance(policy, GptPolicy) else ("embedding",)
    parts = initial_state(policy, 1)
    return tuple(
        Port(name, (BATCH, *part.shape[1:]), part.dtype.name) for name, part in zip(names, parts, strict=bool(parts))
    )
