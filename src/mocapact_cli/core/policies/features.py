"""From observations to what a network gets: its view's columns, normalized."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.sim.observables import ObservableLayout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

TensorObservations = Tensor | Mapping[str, Tensor]
"""Flat (..., P) in a policy's order, or parts (..., size) by name of a view or by name of an observable."""
_EPSILON = 1e-8


class Features(nn.Module):
    """Picks the columns of each part of a policy out of its observations and normalizes them.

    Attributes:
        layout: Where each observable lies in a flat observation; each occurs once, however many views show it.
        mean: (P,) what is subtracted.
        std: (P,) what is divided by.

    Args:
        views: Name of each view -> its observables.
        ref_steps: Steps ahead at which reference observables look.
        clip: Limit of normalized observations, so that a column that never changed in the dataset cannot overwhelm
            the others; None for no limit.
    """

    def __init__(
        self, views: Mapping[str, Sequence[str]], ref_steps: Sequence[int], *, clip: float | None = None
    ) -> None:
        super().__init__()
        names = dict.fromkeys(name for observables in views.values() for name in observables)
        self.layout = ObservableLayout(list(names), ref_steps)
        self.views = {view: tuple(observables) for view, observables in views.items()}
        self.clip = clip
        self._slices = {view: _merged([self.layout.slices[name] for name in seen]) for view, seen in self.views.items()}
        self.register_buffer("mean", torch.zeros(self.layout.size))
        self.register_buffer("std", torch.ones(self.layout.size))
        self.mean: Tensor
        self.std: Tensor

    def size(self, view: str) -> int:
        """Columns of a view."""
        return sum(part.stop - part.start for part in self._slices[view])

    def set_statistics(self, mean: ArrayLike, var: ArrayLike) -> None:
        """Normalize by these means and variances (P,), which lie as the columns of a flat observation do.

        Raises:
            UsageError: They are of another size, or are no finite means and variances.
        """
        means, variances = (np.asarray(part, dtype=np.float32) for part in (mean, var))
        if means.shape != (self.layout.size,) or variances.shape != means.shape:
            raise UsageError(f"Statistics of {means.size} columns do not fit the policy's {self.layout.size}.")
        if not np.isfinite(means).all() or not np.isfinite(variances).all() or (variances < 0).any():
            raise UsageError("The statistics of the observations are not finite means and variances.")
        device = self.mean.device
        self.mean = torch.from_numpy(means.copy()).to(device)
        self.std = torch.from_numpy(np.sqrt(variances + np.float32(_EPSILON))).to(device)

    def forward(self, view: str, observations: TensorObservations) -> Tensor:
        """Return the normalized columns (..., C) of a view.

        Raises:
            UsageError: Columns or an observable are missing.
        """
        return self.normalized(view, self._raw(view, observations))

    def normalized(self, view: str, columns: Tensor) -> Tensor:
        """Normalize a view's own columns (..., C)."""
        result = (columns - self._of(view, self.mean)) / self._of(view, self.std)
        return result if self.clip is None else result.clamp(-self.clip, self.clip)

    def _raw(self, view: str, observations: TensorObservations) -> Tensor:
        if isinstance(observations, Mapping):
            return observations[view] if view in observations else self._joined(view, observations)
        if observations.shape[-1] != self.layout.size:
            raise UsageError(
                f"The observations have {observations.shape[-1]} columns, the policy sees {self.layout.size}.",
                hint="Give the policy's `observables` in their order, with its `ref_steps`.",
            )
        return self._of(view, observations)

    def _joined(self, view: str, observations: Mapping[str, Tensor]) -> Tensor:
        missing = [name for name in self.views[view] if name not in observations]
        if missing:
            raise UsageError(f"The observations lack {', '.join(missing)}.", hint=f"The {view or 'policy'} needs them.")
        return torch.cat([observations[name] for name in self.views[view]], dim=-1)

    def _of(self, view: str, flat: Tensor) -> Tensor:
        parts = [flat[..., columns] for columns in self._slices[view]]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def __call__(self, view: str, observations: TensorObservations) -> Tensor:
        """Return the normalized columns of a view."""
        return cast("Tensor", super().__call__(view, observations))


def _merged(slices: Sequence[slice]) -> list[slice]:
    """Join slices that follow each other: a view that is one slice needs no copy."""
    breaks = [0, *(i for i in range(1, len(slices)) if slices[i - 1].stop != slices[i].start), len(slices)]
    return [slice(slices[begin].start, slices[end - 1].stop) for begin, end in itertools.pairwise(breaks)]
