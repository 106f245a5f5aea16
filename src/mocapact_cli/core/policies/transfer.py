"""A policy for a task: it says what to do, and a low-level policy does it, or it moves the joints itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.policies.base import flatten
from mocapact_cli.core.policies.low_level import MAX_EMBED, LowLevelPolicy
from mocapact_cli.core.sim.observables import ObservableLayout
from mocapact_cli.core.walker.model import NUM_JOINTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.policies.base import Float32Array, Observations
    from mocapact_cli.core.policies.expert import ExpertPolicy


class Decoder:
    """Turns a controller's actions into joint targets: through a low-level policy, or by clipping alone.

    Attributes:
        low_level: Does what an embedding says; None where actions are the joints'.
        size: Columns of an action.
        bound: Actions are clipped to plus and minus this.
        observables: What the controller and the low-level policy see, the controller's first.
        sizes: Columns of each observable.
        seen: Columns that the controller sees, from the first on.
        columns: Numbers of the columns that the low-level policy sees.

    Args:
        low_level: As above.
        observables: What the controller sees, in order.
        own: Sizes of observables that only the task has, by name.
    """

    def __init__(
        self, low_level: LowLevelPolicy | None, observables: Sequence[str], own: Mapping[str, int] | None = None
    ) -> None:
        self.low_level = low_level
        self.size = NUM_JOINTS if low_level is None else low_level.embed_size
        self.bound = 1.0 if low_level is None else low_level.max_embed or MAX_EMBED
        needed = () if low_level is None else low_level.observables
        self.observables = (*observables, *(name for name in needed if name not in observables))
        layout = ObservableLayout(self.observables, (0,), own or {})
        self.sizes = [columns.stop - columns.start for columns in layout.slices.values()]
        self.obs_size, self.columns = layout.size, layout.columns(needed) if needed else np.zeros(0, dtype=np.intp)
        self.seen = ObservableLayout(observables, (0,), own or {}).size

    def decode(self, observations: NDArray[np.float32], actions: NDArray[np.floating]) -> Float32Array:
        """Return joint targets (B, 56) in [-1, 1].

        Args:
            observations: (B, P) flat, in the order of `observables`.
            actions: (B, A) embeddings, or joint targets.
        """
        wanted = np.clip(actions, -self.bound, self.bound)
        if self.low_level is None:
            return np.asarray(wanted, dtype=np.float32)
        return self.low_level.act(observations[:, self.columns], wanted)


class TransferPolicy:
    """A controller and what its actions go through.

    Attributes:
        model: Name of the kind of model.
        task: Name of the task that it was trained on.
        controller: Sees the task and the body; its actions are embeddings, or the joints'.
        decoder: Turns these into joint targets.
        observables: What both see, in the order of its flat observations.
        ref_steps: Steps ahead at which it looks: (0,), there is no reference.

    Args:
        controller: As above.
        low_level: The low-level policy; None where actions are the joints'.
        task: As above.
        own: Sizes of observables that only the task has, by name.
        seed: Of the actions drawn by `predict(..., deterministic=False)`.

    Raises:
        InvalidInputError: The controller's actions are not those that the low-level policy takes, or the sizes of what
            it sees do not add up.
    """

    model = "transfer"

    def __init__(
        self,
        controller: ExpertPolicy,
        low_level: LowLevelPolicy | None,
        task: str,
        *,
        own: Mapping[str, int] | None = None,
        seed: int | None = None,
    ) -> None:
        self.controller, self.task = controller, task
        self.decoder = Decoder(low_level, controller.observables, own)
        self.observables = self.decoder.observables
        self.ref_steps: tuple[int, ...] = (0,)
        self.device = controller.device
        self._rng = np.random.default_rng(seed)
        size = len(controller.std)
        if size != self.decoder.size:
            what = f"embeddings of {self.decoder.size}" if low_level else f"{NUM_JOINTS} joints"
            raise InvalidInputError(
                f"The policy gives actions of {size} columns; {what} are needed.",
                hint="The model and its low-level policy belong to different runs.",
            )
        if controller.obs_size != self.decoder.seen:
            raise InvalidInputError(
                f"The policy sees {controller.obs_size} columns; its observables have {self.decoder.seen}."
            )

    @property
    def obs_size(self) -> int:
        """P, columns of a flat observation."""
        return self.decoder.obs_size

    @property
    def act_size(self) -> int:
        """A, number of actions."""
        return NUM_JOINTS

    @property
    def low_level(self) -> LowLevelPolicy | None:
        """The low-level policy; None where actions are the joints'."""
        return self.decoder.low_level

    def high_level(self, observations: Observations) -> Float32Array:
        """Return the controller's mean actions (B, A), not clipped."""
        return self.controller.mean_actions(self._flat(observations)[:, : self.decoder.seen])

    def values(self, observations: Observations) -> Float32Array:
        """Return the values (B,) in units of the task's reward."""
        return self.controller.values(self._flat(observations)[:, : self.decoder.seen])

    def predict(
        self, observations: Observations, state: Any = None, deterministic: bool = True
    ) -> tuple[Float32Array, Any]:
        """Return joint targets in [-1, 1], (B, 56), and `state` as it came.

        Args:
            observations: By name or flat, (B, P), or (P,) for one environment.
            state: Ignored.
            deterministic: Whether the controller's action is its mean; otherwise one draw around it.
        """
        flat = self._flat(observations)
        actions = self.high_level(flat)
        if not deterministic:
            noise = self._rng.standard_normal(actions.shape, dtype=np.float32)
            actions = actions + self.controller.std * noise
        joints = self.decoder.decode(flat, actions)
        return (joints[0] if np.ndim(flatten(observations, self.observables)) == 1 else joints), state

    def _flat(self, observations: Observations) -> NDArray[np.float32]:
        flat = np.atleast_2d(flatten(observations, self.observables))
        if flat.shape[-1] != self.obs_size:
            raise UsageError(f"The observations have {flat.shape[-1]} columns, the policy sees {self.obs_size}.")
        return flat
