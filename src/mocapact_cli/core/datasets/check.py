"""Validating a rollout file against the layout and its checksums."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.datasets import checksums, schema
from mocapact_cli.core.datasets.reader import RolloutFile, SnippetRollouts, check_columns, column_numbers
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.guarded import now_reading
from mocapact_cli.core.safe import h5

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import h5py
    from numpy.typing import NDArray

Dims = dict[str, int]
_RETURN_TOLERANCE = 1e-3
"""Rewards are stored in single precision, their sums in double."""


def check_rollouts(path: Path | str, *, done: int = 0, total: int | None = None) -> None:
    """Read a rollout file from end to end and compare it with the layout and, where it has them, its checksums.

    Files of the original project carry no checksums: they are held to the layout, to finite values and to metrics
    that agree with the episodes.

    Args:
        path: The file.
        done: Bytes of other files that were checked before, for progress.
        total: Bytes of all files that are checked; default: this one's.

    Raises:
        NotFoundError: The file does not exist.
        InvalidInputError: It is damaged or breaks the layout; the message names the first thing that is wrong.
    """
    with RolloutFile(path) as file, h5.damage_named(path):
        _Checker(file, done, Path(path).stat().st_size if total is None else total).run()


class _Checker:
    """One check of one file: what is known of its sizes, and how far it has come."""

    def __init__(self, file: RolloutFile, done: int, total: int) -> None:
        self._file, self._done, self._total = file, done, total
        self._sealed = _is_sealed(file)
        start, rsi = file.n_start_rollouts, file.n_rsi_rollouts
        self._dims: Dims = {"S": start, "R": rsi, "E": start + rsi}
        self._steps = self._episodes = 0

    def run(self) -> None:
        file = self._file
        self._dims = self._check_arrays(file.handle, schema.FILE_ARRAYS, self._dims, self._columns())
        _check_columns(file, self._dims["P"])
        if not file.snippets or not self._dims["E"]:
            raise InvalidInputError("it holds no snippets." if not file.snippets else "it holds no episodes.")
        for snippet in file.snippets:
            self._check_snippet(file[snippet], file.handle[snippet])
        self._check_counts()
        if self._sealed:
            self._check_contents()

    def _columns(self) -> tuple[schema.ArraySpec, ...]:
        """Describe the arrays that say which columns an observable has."""
        return tuple(
            schema.ArraySpec(f"{schema.OBSERVABLE_INDICES}/{name}", "int64", (name,), "its columns")
            for name in self._file.observables
        )

    def _check_snippet(self, rollouts: SnippetRollouts, group: h5py.Group) -> None:
        self._check_arrays(group, schema.SNIPPET_ARRAYS, self._dims)
        lengths, returns = rollouts.lengths, rollouts.returns
        for index, episode in enumerate(rollouts):
            place = group[str(episode.index)]
            self._check_arrays(place, schema.EPISODE_ARRAYS, self._dims | {"T": int(lengths[index])})
            if not self._sealed:
                _check_return(place, episode.rewards, float(returns[index]))
            self._steps += episode.length
            self._episodes += 1

    def _check_counts(self) -> None:
        """The numbers of rows that the statistics are over are those that are there."""
        expected = {"stats/count": self._steps + self._episodes, "stats/act_count": self._steps}
        for name, number in expected.items():
            if h5.find(self._file.handle, name) is not None and int(h5.read_small(self._file.handle, name)) != number:
                raise InvalidInputError(f"/{name} is {h5.read_small(self._file.handle, name)}, but {number} are there.")

    def _check_contents(self) -> None:
        handle = self._file.handle
        now_reading("names and attributes")
        expected, found = str(handle.attrs.get(schema.CONTENTS_CHECKSUM)), checksums.of_contents(handle)
        if found != expected:
            raise InvalidInputError(
                f"its names and attributes do not match their checksum: expected {expected}, found {found}."
            )

    def _check_arrays(
        self,
        group: h5py.Group,
        specs: Sequence[schema.ArraySpec],
        dims: Dims,
        more: Sequence[schema.ArraySpec] = (),
    ) -> Dims:
        """Check a group's arrays; return `dims` with what they settle."""
        expected = checksums.read_checksums(group) if self._sealed else {}
        for spec in (*specs, *more):
            if not spec.required and spec.path not in expected and h5.find(group, spec.path) is None:
                continue
            array = h5.dataset(group, spec.path)
            dims = _matched(array, spec, dims)
            self._check_values(array, spec, expected)
        return dims

    def _check_values(self, array: h5py.Dataset, spec: schema.ArraySpec, expected: Mapping[str, str]) -> None:
        if array.dtype != np.dtype(spec.dtype):
            raise InvalidInputError(f"{array.name} is of type {array.dtype}, expected {spec.dtype}.")
        h5.check_claim(array)
        blocks = self._finite_blocks(array)
        if not self._sealed:
            for _ in blocks:
                pass
            return
        found = checksums.of_blocks(array.dtype, array.shape, blocks, checksums.read_attributes(array))
        if found != expected.get(spec.path):
            wanted = expected.get(spec.path, "none")
            raise InvalidInputError(
                f"{array.name} does not match its checksum: expected {wanted}, found {found}.",
            )

    def _finite_blocks(self, array: h5py.Dataset) -> Iterator[NDArray[Any]]:
        for block in h5.row_blocks(array):
            now_reading(str(array.name), done=self._done / 1e6, total=self._total / 1e6)
            if array.dtype.kind == "f" and not np.all(np.isfinite(block)):
                raise InvalidInputError(f"{array.name} holds values that are not finite.")
            yield block
        self._done += array.id.get_storage_size()


def _is_sealed(file: RolloutFile) -> bool:
    """Whether the file was written with checksums; any trace of them counts, so that none can be lost unseen."""
    attributes = file.handle.attrs
    groups = (h5.find(file.handle, name) for name in file.snippets)
    return (
        schema.CHECKSUMS in attributes
        or schema.CONTENTS_CHECKSUM in attributes
        or any(group is not None and schema.CHECKSUMS in group.attrs for group in groups)
    )


def _matched(array: h5py.Dataset, spec: schema.ArraySpec, dims: Dims) -> Dims:
    try:
        return schema.match_shape(spec, array.shape or (), dims)
    except InvalidInputError as error:
        # The layout knows an array's path in its group; the file's own is what the reader looks for.
        parent = str(array.name).removesuffix(spec.path)
        raise InvalidInputError(f"{parent}{error.message}") from error


def _check_columns(file: RolloutFile, size: int) -> None:
    """Every column belongs to exactly one observable."""
    uses = np.zeros(size, dtype=np.int64)
    columns = column_numbers(file)
    check_columns(columns, size)
    for numbers in columns.values():
        np.add.at(uses, numbers, 1)
    if not np.all(uses == 1):
        raise InvalidInputError(f"column {int(np.argmax(uses != 1))} belongs to {int(uses[uses != 1][0])} observables.")


def _check_return(episode: h5py.Group, rewards: NDArray[np.floating], recorded: float) -> None:
    total = float(np.sum(rewards, dtype=np.float64))
    if abs(total - recorded) > _RETURN_TOLERANCE * max(1.0, abs(total)):
        raise InvalidInputError(
            f"{episode.name}/rewards add up to {total:g}, but the episode's return is {recorded:g}."
        )
