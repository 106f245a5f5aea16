"""`evaluations.npz`: the history of a policy's evaluations under the keys of the published files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.safe.archives import read_npz

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.envs.batch import EpisodeEnd

EVALUATIONS_FILE = "evaluations.npz"
_TYPES = {
    "timesteps": np.int64,
    "results": np.float32,
    "ep_lengths": np.int32,
    "results_norm": np.float64,
    "ep_lengths_norm": np.float64,
}


@dataclass(frozen=True)
class EvaluationHistory:
    """Evaluations of one policy as it was trained, E of them with N episodes each.

    Attributes:
        timesteps: (E,) environment steps trained so far.
        results: (E, N) returns.
        ep_lengths: (E, N) steps.
        results_norm: (E, N) normalized returns.
        ep_lengths_norm: (E, N) normalized lengths.
    """

    timesteps: NDArray[np.int64]
    results: NDArray[np.float32]
    ep_lengths: NDArray[np.int32]
    results_norm: NDArray[np.float64]
    ep_lengths_norm: NDArray[np.float64]

    @classmethod
    def of(cls, timesteps: int, ends: Sequence[EpisodeEnd]) -> EvaluationHistory:
        """Return the history of a single evaluation."""
        rows = (
            [timesteps],
            [[end.episode_return for end in ends]],
            [[end.length for end in ends]],
            [[end.norm_return for end in ends]],
            [[end.norm_length for end in ends]],
        )
        return cls(*(np.array(row, dtype=kind) for row, kind in zip(rows, _TYPES.values(), strict=True)))

    def extended(self, timesteps: int, ends: Sequence[EpisodeEnd]) -> EvaluationHistory:
        """Return the history with one more evaluation, of as many episodes."""
        newest = EvaluationHistory.of(timesteps, ends)
        return EvaluationHistory(*(np.concatenate([getattr(self, name), getattr(newest, name)]) for name in _TYPES))

    def until(self, timesteps: int) -> EvaluationHistory:
        """Return the evaluations up to `timesteps`, for a run that resumes there."""
        kept = self.timesteps <= timesteps
        return EvaluationHistory(*(getattr(self, name)[kept] for name in _TYPES))

    def save(self, path: Path | str) -> None:
        """Write them (atomically) as an npz file."""
        self.save_with(path, {})

    def save_with(self, path: Path | str, others: Mapping[str, NDArray[Any]]) -> None:
        """Write them (atomically) as an npz file with further arrays, which `read_evaluations` passes over."""
        with atomic_write(path, suffix=".npz") as temporary, temporary.open("wb") as file:
            np.savez(file, **{name: getattr(self, name) for name in _TYPES}, **others)  # type: ignore[arg-type]


def read_evaluations(path: Path | str) -> EvaluationHistory:
    """Read an `evaluations.npz`, ours or a published one.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged or lacks an array.
    """
    arrays = read_npz(path)
    missing = [name for name in _TYPES if name not in arrays]
    if missing:
        raise InvalidInputError(f"{path} has no {', '.join(missing)}.")
    rows = len(arrays["timesteps"]) if arrays["timesteps"].ndim == 1 else -1
    if any(arrays[name].shape[:1] != (rows,) for name in _TYPES):
        raise InvalidInputError(f"{path}: its arrays are not of one length.")
    return EvaluationHistory(*(arrays[name].astype(kind) for name, kind in _TYPES.items()))
