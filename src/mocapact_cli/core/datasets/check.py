"""Validating a rollout file against the layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.datasets import h5, schema
from mocapact_cli.core.datasets.reader import RolloutFile, SnippetRollouts
from mocapact_cli.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import h5py

Dims = dict[str, int]


def check_rollouts(path: Path | str) -> None:
    """Read a rollout file from end to end and compare it with the layout.

    Raises:
        NotFoundError: The file does not exist.
        InvalidInputError: It is damaged or breaks the layout; the message names the first thing that is wrong.
    """
    with RolloutFile(path) as file, h5.damage_named(path):
        dims = _check_arrays(file.handle, schema.FILE_ARRAYS, _counts(file))
        _check_columns(file, dims["P"])
        if not file.snippets:
            raise InvalidInputError("it holds no snippets.")
        for snippet in file.snippets:
            _check_snippet(file[snippet], file.handle[snippet], dims)


def _counts(file: RolloutFile) -> Dims:
    start, rsi = file.n_start_rollouts, file.n_rsi_rollouts
    return {"S": start, "R": rsi, "E": start + rsi}


def _check_columns(file: RolloutFile, size: int) -> None:
    """Every column belongs to exactly one observable."""
    uses = np.zeros(size, dtype=np.int64)
    for name, columns in file.observables.items():
        numbers = np.arange(columns.start, columns.stop) if isinstance(columns, slice) else columns
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < size:
            raise InvalidInputError(f"observable {name} has columns outside the {size} there are.")
        np.add.at(uses, numbers, 1)
    if not np.all(uses == 1):
        raise InvalidInputError(f"column {int(np.argmax(uses != 1))} belongs to {int(uses[uses != 1][0])} observables.")


def _check_snippet(rollouts: SnippetRollouts, group: h5py.Group, dims: Dims) -> None:
    try:
        _check_arrays(group, schema.SNIPPET_ARRAYS, dims)
        lengths = rollouts.lengths
        for episode, length in zip(rollouts, lengths, strict=True):
            _check_arrays(group[str(episode.index)], schema.EPISODE_ARRAYS, dims | {"T": int(length)})
    except InvalidInputError as error:
        raise InvalidInputError(f"{rollouts.name}: {error.message}") from error


def _check_arrays(group: h5py.Group, specs: Sequence[schema.ArraySpec], dims: Dims) -> Dims:
    """Check types, shapes and finite values of a group's arrays; return `dims` with what they settle."""
    for spec in specs:
        if h5.find(group, spec.path) is None and not spec.required:
            continue
        array = h5.dataset(group, spec.path)
        try:
            dims = schema.match_shape(spec, array.shape or (), dims)
        except InvalidInputError as error:
            raise InvalidInputError(f"{group.name.rstrip('/')}/{error.message}") from error
        _check_values(array, spec)
    return dims


def _check_values(array: h5py.Dataset, spec: schema.ArraySpec) -> None:
    if array.dtype != np.dtype(spec.dtype):
        raise InvalidInputError(f"{array.name} is of type {array.dtype}, expected {spec.dtype}.")
    if array.size > h5.SMALL_ARRAY:
        raise InvalidInputError(f"{array.name} claims {array.size} values, which is absurd here.")
    values = array[()]
    if array.dtype.kind == "f" and not np.all(np.isfinite(values)):
        raise InvalidInputError(f"{array.name} holds values that are not finite.")
