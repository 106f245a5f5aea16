"""Writing one clip's rollouts to an HDF5 file, episode by episode in whatever order they finish."""

from __future__ import annotations

import contextlib
import errno
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.datasets import checksums, schema
from mocapact_cli.core.datasets.h5_output import H5Output, create_h5
from mocapact_cli.core.datasets.statistics import OrderedStatistics, RolloutStatistics, RunningStatistics
from mocapact_cli.core.errors import RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    import h5py
    from numpy.typing import NDArray

    FloatArray = NDArray[np.floating]

COUNTS_NOTE = "act_* and mean_act_* are over act_count actions, proprio_* over count observations"
_SPACE_HINT = "Free some space or choose another folder, then go on with --resume; finished files are intact."


@dataclass(frozen=True)
class RolloutLayout:
    """What all files of one dataset share.

    Attributes:
        observables: Name -> number of columns, in the order of the columns.
        ref_steps: Steps ahead at which the reference observables look.
        n_start_rollouts: S, episodes of each snippet from its first step.
        n_rsi_rollouts: R, episodes of each snippet from random steps.
        act_size: Number of actions.
    """

    observables: Mapping[str, int]
    ref_steps: tuple[int, ...]
    n_start_rollouts: int
    n_rsi_rollouts: int
    act_size: int = 56

    @property
    def episodes(self) -> int:
        """S + R, the episodes of each snippet."""
        return self.n_start_rollouts + self.n_rsi_rollouts

    @property
    def obs_size(self) -> int:
        """P, columns of an observation."""
        return sum(self.observables.values())

    def dims(self) -> dict[str, int]:
        """Return the numbers behind the layout's symbols that are the same in every episode."""
        return {
            "S": self.n_start_rollouts,
            "R": self.n_rsi_rollouts,
            "E": self.episodes,
            "P": self.obs_size,
            "A": self.act_size,
            "K": len(self.ref_steps),
        }


@dataclass(frozen=True)
class EpisodeRecord:
    """One finished episode of T steps.

    Attributes:
        observations: (T + 1, P).
        actions: (T, A) sampled actions.
        mean_actions: (T, A); None where they are not known.
        rewards: (T,) of the environment.
        values: (T,) in units of the reward.
        advantages: (T,).
        early_termination: Whether it failed before the snippet's end.
        episode_return: Sum of rewards.
        norm_return: Normalized return.
        norm_length: Normalized length.
        cameras: (T + 1, height, width, 3) images by camera, such as `walker/egocentric_camera`.
    """

    observations: FloatArray
    actions: FloatArray
    mean_actions: FloatArray | None
    rewards: FloatArray
    values: FloatArray
    advantages: FloatArray
    early_termination: bool
    episode_return: float
    norm_return: float
    norm_length: float
    cameras: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)

    @cached_property
    def statistics(self) -> RolloutStatistics:
        """Statistics of its observations and actions, as the file holds them."""
        known = self.actions[:0] if self.mean_actions is None else self.mean_actions
        parts = (self.observations, self.actions, known)
        return RolloutStatistics(*(RunningStatistics.of_rows(np.asarray(part, np.float32)) for part in parts))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays under their paths in the file."""
        names = ("actions", "mean_actions", "rewards", "values", "advantages")
        images = {f"{schema.OBSERVATIONS}/{name}": frames for name, frames in self.cameras.items()}
        known = {name: array for name in names if (array := getattr(self, name)) is not None}
        return {schema.PROPRIOCEPTIVE: self.observations} | known | images


@dataclass
class _SnippetMetrics:
    """The metrics of a snippet's episodes, filled in slot by slot."""

    early_termination: NDArray[np.bool_]
    metrics: dict[str, NDArray[np.generic]]
    missing: set[int] = field(default_factory=set)

    @classmethod
    def of_size(cls, episodes: int) -> _SnippetMetrics:
        metrics: dict[str, NDArray[np.generic]] = {name: np.zeros(episodes) for name in schema.METRICS}
        metrics["episode_lengths"] = np.zeros(episodes, dtype=np.int64)
        return cls(np.zeros(episodes, dtype=np.bool_), metrics, set(range(episodes)))

    def fill(self, slot: int, record: EpisodeRecord) -> None:
        row = (record.episode_return, len(record.actions), record.norm_return, record.norm_length)
        for name, value in zip(schema.METRICS, row, strict=True):
            self.metrics[name][slot] = value
        self.early_termination[slot] = record.early_termination
        self.missing.discard(slot)

    def arrays(self, n_start: int) -> dict[str, NDArray[np.generic]]:
        """Return them under their paths in the file, starts and RSI apart."""
        parts = zip(schema.METRIC_GROUPS, (slice(None, n_start), slice(n_start, None)), strict=True)
        split = {f"{group}/{name}": values[part] for group, part in parts for name, values in self.metrics.items()}
        return {"early_termination": self.early_termination, **split}


class RolloutWriter:
    """Writes one clip's file under a temporary name; it appears, complete, when the `with` block ends well.

    Every episode goes to disk as it is added and only its metrics stay in memory, so memory does not grow with the
    number of episodes. Each array's checksum is taken from memory, so that it also covers the way to the disk.

    Args:
        path: The final file.
        layout: What the file's episodes look like.
        snippets: Names of the clip's snippets.
        attributes: Plain values kept as attributes of the file, such as the seed.
    """

    def __init__(
        self,
        path: Path | str,
        layout: RolloutLayout,
        snippets: Sequence[str],
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.layout = layout
        self._attributes = dict(attributes or {})
        self._snippets = {name: _SnippetMetrics.of_size(layout.episodes) for name in snippets}
        self._checksums: dict[str, str] = {}
        # In the order of the file, not of their ends, so that equal data give equal numbers.
        self._statistics = OrderedStatistics((name, slot) for name in snippets for slot in range(layout.episodes))
        self._stack = contextlib.ExitStack()
        self._output: H5Output | None = None

    def __enter__(self) -> RolloutWriter:
        try:
            with _disk_errors(self.path):
                self._open()
            with self._operation():
                self._write_header()
        except BaseException as error:
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                with self._operation():
                    self._write_summaries()
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        with _disk_errors(self.path):
            self._stack.__exit__(kind, error, traceback)

    @property
    def complete(self) -> bool:
        """Whether every episode of every snippet has been added."""
        return not any(metrics.missing for metrics in self._snippets.values())

    def add(self, snippet: str, slot: int, record: EpisodeRecord) -> None:
        """Write episode `slot` of `snippet`.

        Raises:
            UsageError: There is no such snippet or slot, it was written before, or an array has a wrong shape.
        """
        if snippet not in self._snippets or slot not in self._snippets[snippet].missing:
            raise UsageError(f"{self.path.name} has no free episode {slot} of {snippet}.")
        with self._operation():
            group = self._opened().create_group(f"{snippet}/{slot}")
            found = self._put(group, schema.EPISODE_ARRAYS, record.arrays(), {"T": len(record.actions)})
            checksums.seal(group, found)
        self._snippets[snippet].fill(slot, record)
        self._statistics.add((snippet, slot), record.statistics)

    def _open(self) -> None:
        temporary = self._stack.enter_context(atomic_write(self.path))
        self._output = self._stack.enter_context(create_h5(temporary))

    @contextlib.contextmanager
    def _operation(self) -> Iterator[None]:
        """Let HDF5 work undisturbed, then see whether the disk has taken everything."""
        if self._output is None:
            raise UsageError("A RolloutWriter writes only inside its `with` block.")
        with _disk_errors(self.path), self._output.writing():
            yield

    def _opened(self) -> h5py.File:
        assert self._output is not None, "used inside _operation only"
        return self._output.handle

    def _write_header(self) -> None:
        file, layout = self._opened(), self.layout
        file.attrs.update(format=schema.FORMAT_NAME, format_version=schema.FORMAT_VERSION, statistics=COUNTS_NOTE)
        file.attrs.update(self._attributes)
        header = {
            "n_start_rollouts": np.array(layout.n_start_rollouts),
            "n_rsi_rollouts": np.array(layout.n_rsi_rollouts),
            "ref_steps": np.array(layout.ref_steps, dtype=np.int64),
        }
        self._checksums |= self._put(file, schema.FILE_ARRAYS, header)
        first = 0
        for name, size in layout.observables.items():
            path, columns = f"{schema.OBSERVABLE_INDICES}/{name}", np.arange(first, first + size, dtype=np.int64)
            file[path], self._checksums[path] = columns, checksums.of_array(columns)
            first += size

    def _write_summaries(self) -> None:
        lacking = [name for name, metrics in self._snippets.items() if metrics.missing]
        if lacking:
            raise RunError(f"{self.path} is incomplete: episodes of {', '.join(lacking)} are missing.")
        file = self._opened()
        for name, metrics in self._snippets.items():
            group, arrays = file.require_group(name), metrics.arrays(self.layout.n_start_rollouts)
            checksums.seal(group, self._put(group, schema.SNIPPET_ARRAYS, arrays))
        statistics = {f"stats/{name}": values for name, values in self._statistics.total.arrays().items()}
        self._checksums |= self._put(file, schema.FILE_ARRAYS, statistics)
        checksums.seal_file(file, self._checksums)

    def _put(
        self,
        group: h5py.Group,
        specs: Sequence[schema.ArraySpec],
        arrays: Mapping[str, NDArray[Any]],
        dims: Mapping[str, int] | None = None,
    ) -> dict[str, str]:
        """Write arrays as the layout describes them and return their checksums by path."""
        known = self.layout.dims() | dict(dims or {})
        by_path, found = {spec.path: spec for spec in specs}, {}
        for path, values in arrays.items():
            spec = by_path[path]
            if np.shape(values) != schema.fill_shape(spec, known):
                raise UsageError(f"{path} has shape {np.shape(values)}, expected {schema.fill_shape(spec, known)}.")
            stored = np.asarray(values, dtype=spec.dtype)
            group.create_dataset(path, data=stored, **spec.storage.options(stored.shape))
            found[path] = checksums.of_array(stored)
        return found


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Name the file and the reason where a write has failed."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error).splitlines()[0]
        raise RunError(f"{path} could not be written: {reason}.", hint=_SPACE_HINT) from error
