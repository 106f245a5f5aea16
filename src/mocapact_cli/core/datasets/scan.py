"""Which episodes of which files a dataset takes, and what all of those files must agree on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.clips.snippets import clip_of
from mocapact_cli.core.datasets.reader import RolloutFile, column_numbers
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, did_you_mean
from mocapact_cli.core.safe import h5

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ALL = -1
"""Where a number of episodes is asked for: as many as there are."""


@dataclass(frozen=True)
class ScannedEpisode:
    """An episode of a dataset: in which file, of which snippet, its number there, its T steps and whether it failed."""

    file: int
    snippet: str
    slot: int
    length: int
    early_termination: bool

    @property
    def group(self) -> str:
        """Its path in the file."""
        return f"{self.snippet}/{self.slot}"


@dataclass(frozen=True)
class DatasetScan:
    """The episodes of a dataset in their order, and the layout that its files share.

    Attributes:
        paths: The files.
        snippets: Names of each file's snippets that are taken.
        episodes: Those of all snippets, starts first.
        observable_indices: Observable -> its column numbers.
        ref_steps: (K,).
        act_size: Number of actions.
    """

    paths: tuple[Path, ...]
    snippets: tuple[tuple[str, ...], ...]
    episodes: tuple[ScannedEpisode, ...]
    observable_indices: dict[str, NDArray[np.int64]]
    ref_steps: NDArray[np.int64]
    act_size: int


@dataclass(frozen=True)
class _Layout:
    path: Path
    columns: dict[str, NDArray[np.int64]]
    ref_steps: tuple[int, ...]

    def must_equal(self, other: _Layout) -> None:
        """Raise an error that names both files unless they can be one dataset."""
        same = list(self.columns) == list(other.columns) and all(
            np.array_equal(columns, other.columns[name]) for name, columns in self.columns.items()
        )
        if not same or self.ref_steps != other.ref_steps:
            # Other reference steps make other columns, so they come first.
            what = "observables" if self.ref_steps == other.ref_steps else "ref_steps"
            raise InvalidInputError(
                f"{self.path} and {other.path} differ in their {what}, so they are not one dataset.",
                hint="Give files that were recorded alike.",
            )


def scan_dataset(
    paths: Sequence[Path | str],
    *,
    clip_ids: Sequence[str] | None = None,
    n_start_rollouts: int = ALL,
    n_rsi_rollouts: int = ALL,
) -> DatasetScan:
    """Find the episodes of a dataset; only headers and metrics are read.

    Args:
        paths: Rollout files.
        clip_ids: Snippets (`CMU_016_22-0-82`), in this order, or whole clips (`CMU_016_22`); None for all.
        n_start_rollouts: At most so many episodes of a snippet from its start.
        n_rsi_rollouts: From random steps.

    Raises:
        NotFoundError: A file does not exist, or nothing is left.
        InvalidInputError: A file is damaged, or two of them differ in their layout.
    """
    if not paths:
        raise NotFoundError("A dataset needs at least one rollout file.", hint="Give files that end in .hdf5.")
    limits = (n_start_rollouts, n_rsi_rollouts)
    first: _Layout | None = None
    taken, episodes = [], []
    for number, path in enumerate(map(Path, paths)):
        with RolloutFile(path) as file, h5.damage_named(path):
            layout = _Layout(path, column_numbers(file), file.ref_steps)
            first = first or layout
            first.must_equal(layout)
            taken.append(_chosen(sorted(file.snippets), clip_ids))
            for snippet in taken[-1]:
                episodes += _episodes(file, number, snippet, limits)
    if not episodes:
        raise _nothing_left(paths, clip_ids)
    assert first is not None
    return DatasetScan(
        paths=tuple(map(Path, paths)),
        snippets=tuple(taken),
        episodes=tuple(episodes),
        observable_indices=first.columns,
        ref_steps=np.array(first.ref_steps, dtype=np.int64),
        act_size=_act_size(Path(paths[episodes[0].file]), episodes[0]),
    )


def _chosen(snippets: Sequence[str], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The wanted ones in the order in which they are wanted; all by name, as HDF5 lists them."""
    if wanted is None:
        return tuple(snippets)
    found = [name for item in wanted for name in snippets if item in (name, clip_of(name))]
    return tuple(dict.fromkeys(found))


def _episodes(file: RolloutFile, number: int, snippet: str, limits: tuple[int, int]) -> list[ScannedEpisode]:
    rollouts = file[snippet]
    lengths, failed = rollouts.lengths, rollouts.early_termination
    if lengths.shape != failed.shape:
        raise InvalidInputError(f"{snippet} has {failed.size} episodes, but the lengths of {lengths.size}.")
    here = (file.n_start_rollouts, file.n_rsi_rollouts)
    taken = [have if limit < 0 else min(limit, have) for limit, have in zip(limits, here, strict=True)]
    slots = [*range(taken[0]), *range(here[0], here[0] + taken[1])]
    return [ScannedEpisode(number, snippet, slot, int(lengths[slot]), bool(failed[slot])) for slot in slots]


def _act_size(path: Path, episode: ScannedEpisode) -> int:
    with RolloutFile(path) as file, h5.damage_named(path):
        shape = h5.dataset(file.handle, f"{episode.group}/actions").shape
    if shape is None or len(shape) != 2:
        raise InvalidInputError(f"{path}: {episode.group}/actions has {len(shape or ())} dimensions instead of two.")
    return int(shape[1])


def _nothing_left(paths: Sequence[Path | str], clip_ids: Sequence[str] | None) -> NotFoundError:
    if clip_ids is None:
        return NotFoundError(f"There is not one episode in {', '.join(map(str, paths))}.")
    known = []
    for path in paths:
        with RolloutFile(path) as file:
            known += [*file.snippets, file.clip_id]
    hint = did_you_mean(clip_ids[0], known) if clip_ids else ""
    return NotFoundError(f"The files hold no episode of {', '.join(clip_ids) or 'no clip at all'}.", hint=hint)
