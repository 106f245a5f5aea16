"""Reading rollout files, ours and the published ones: lazily, by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from mocapact_cli.core.clips.snippets import snippet_named
from mocapact_cli.core.datasets import schema
from mocapact_cli.core.datasets.statistics import RolloutStatistics, RunningStatistics, corrected_action_moments
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, did_you_mean
from mocapact_cli.core.safe import h5

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    import h5py
    from numpy.typing import NDArray

    Float32Array = NDArray[np.float32]

SUFFIX = ".hdf5"
"""Ending of rollout files in a folder; mocap files beside them end in .h5."""


@dataclass(frozen=True)
class Episode:
    """One recorded episode of T steps; arrays are read when they are asked for.

    Attributes:
        snippet: Name of its snippet.
        index: Its number among the snippet's episodes.
        from_start: Whether it begins at the snippet's first step.
        early_termination: Whether it failed before the snippet's end.
    """

    snippet: str
    index: int
    from_start: bool
    early_termination: bool
    _group: h5py.Group
    _columns: dict[str, slice | NDArray[np.int64]]

    @property
    def length(self) -> int:
        """T, the number of control steps."""
        return int(h5.dataset(self._group, "actions").shape[0])

    @property
    def num_values(self) -> int:
        """How many numbers the observations claim to hold; nothing is read."""
        return int(h5.dataset(self._group, schema.PROPRIOCEPTIVE).size or 0)

    @property
    def observations(self) -> Float32Array:
        """(T + 1, P) all proprioceptive observations."""
        return self._read(schema.PROPRIOCEPTIVE)

    @property
    def actions(self) -> Float32Array:
        """(T, A) sampled actions."""
        return self._read("actions")

    @property
    def mean_actions(self) -> Float32Array:
        """(T, A) the policy's mean actions."""
        return self._read("mean_actions")

    @property
    def rewards(self) -> Float32Array:
        """(T,) rewards of the environment."""
        return self._read("rewards")

    @property
    def values(self) -> Float32Array:
        """(T,) the policy's values."""
        return self._read("values")

    @property
    def advantages(self) -> Float32Array:
        """(T,) generalized advantage estimates."""
        return self._read("advantages")

    def observable(self, name: str) -> Float32Array:
        """Return one observable, such as `walker/joints_pos`, as (T + 1, its size).

        Raises:
            NotFoundError: The file has no such observable.
        """
        if name not in self._columns:
            raise NotFoundError(f"There is no observable {name!r}.", hint=did_you_mean(name, self._columns))
        columns = self._columns[name]
        if isinstance(columns, slice):
            return cast("Float32Array", h5.dataset(self._group, schema.PROPRIOCEPTIVE)[:, columns])
        return self.observations[:, columns]

    def has_observable(self, name: str) -> bool:
        """Whether an observable was recorded."""
        return name in self._columns

    def first_row(self, name: str) -> Float32Array:
        """Return one observable at the episode's first moment, (its size,); nothing else is read.

        Raises:
            NotFoundError: The file has no such observable.
        """
        if name not in self._columns:
            raise NotFoundError(f"There is no observable {name!r}.", hint=did_you_mean(name, self._columns))
        array = h5.dataset(self._group, schema.PROPRIOCEPTIVE)
        return cast("Float32Array", array[0][self._columns[name]]) if array.shape[0] else np.empty(0, np.float32)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras whose images were recorded."""
        return tuple(name for name in schema.CAMERAS if h5.find(self._group, f"{schema.OBSERVATIONS}/{name}"))

    def camera(self, name: str) -> NDArray[np.uint8]:
        """Return the images of a camera, such as `walker/egocentric_camera`, as (T + 1, height, width, 3)."""
        return cast("NDArray[np.uint8]", h5.dataset(self._group, f"{schema.OBSERVATIONS}/{name}")[()])

    def stored(self, path: str) -> h5py.Dataset | None:
        """Return the stored array at a path of the layout, such as `actions`, unread; None where there is none.

        Raises:
            InvalidInputError: Something else is there.
        """
        return None if h5.find(self._group, path) is None else h5.dataset(self._group, path)

    def camera_array(self, name: str) -> h5py.Dataset:
        """Return the images of a camera as an array on disk, from which single ones can be read."""
        return h5.dataset(self._group, f"{schema.OBSERVATIONS}/{name}")

    def _read(self, path: str) -> Float32Array:
        return cast("Float32Array", h5.dataset(self._group, path)[()])


class SnippetRollouts:
    """The episodes of one snippet: `len`, indexing and iteration give `Episode`s, starts first."""

    def __init__(self, name: str, file: RolloutFile) -> None:
        self.name = name
        self._file = file
        group = h5.find(file.handle, name)
        if group is None:
            raise NotFoundError(f"{file.path} has no snippet {name!r}.", hint=did_you_mean(name, file.snippets))
        self._group = cast("h5py.Group", group)

    def __len__(self) -> int:
        return self._file.n_start_rollouts + self._file.n_rsi_rollouts

    def __getitem__(self, index: int) -> Episode:
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"{self.name} has {size} episodes, there is no {index}")
        index %= size
        group = h5.find(self._group, str(index))
        if group is None:
            raise InvalidInputError(f"{self._file.path}: episode {index} of {self.name} is missing.")
        failed = bool(self.early_termination[index])
        return Episode(self.name, index, index < self._file.n_start_rollouts, failed, group, self._file.observables)

    def __iter__(self) -> Iterator[Episode]:
        return (self[index] for index in range(len(self)))

    @cached_property
    def early_termination(self) -> NDArray[np.bool_]:
        """(S + R,) which episodes failed.

        Raises:
            InvalidInputError: There is not one flag an episode.
        """
        flags = h5.read_small(self._group, "early_termination")
        if flags.shape != (len(self),):
            raise InvalidInputError(f"{self._file.path}: early_termination of {self.name} has shape {flags.shape}.")
        return flags.astype(np.bool_)

    @property
    def returns(self) -> NDArray[np.float64]:
        """(S + R,) sums of rewards."""
        return self._metric("episode_returns")

    @property
    def lengths(self) -> NDArray[np.float64]:
        """(S + R,) steps."""
        return self._metric("episode_lengths")

    @property
    def norm_returns(self) -> NDArray[np.float64]:
        """(S + R,) normalized returns."""
        return self._metric("norm_episode_returns")

    @property
    def norm_lengths(self) -> NDArray[np.float64]:
        """(S + R,) normalized lengths."""
        return self._metric("norm_episode_lengths")

    def _metric(self, name: str) -> NDArray[np.float64]:
        parts = [h5.read_small(self._group, f"{group}/{name}") for group in schema.METRIC_GROUPS]
        return np.concatenate(parts).astype(np.float64)


class RolloutFile:
    """One clip's rollouts.

    Args:
        path: The HDF5 file.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged or not a rollout file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.handle = h5.open_h5(path)
        try:
            with h5.damage_named(self.path):
                self.n_start_rollouts = self._count("n_start_rollouts")
                self.n_rsi_rollouts = self._count("n_rsi_rollouts")
                self.ref_steps = tuple(int(step) for step in h5.read_small(self.handle, "ref_steps").ravel())
                self.observable_names = tuple(self._observable_names())
        except BaseException:
            self.handle.close()
            raise

    def __enter__(self) -> RolloutFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; episodes taken from it cannot be read any more."""
        self.handle.close()

    @cached_property
    def observables(self) -> dict[str, slice | NDArray[np.int64]]:
        """Each observable with its columns, as a slice where they are adjacent (they always are)."""
        with h5.damage_named(self.path):
            return dict(self._columns())

    @cached_property
    def snippets(self) -> tuple[str, ...]:
        """Names of the snippets, by start step."""
        named = {name: snippet_named(name) for name in self.handle}
        found = sorted((parsed, name) for name, parsed in named.items() if parsed is not None)
        return tuple(name for _, name in found)

    def __getitem__(self, snippet: str) -> SnippetRollouts:
        with h5.damage_named(self.path):
            return SnippetRollouts(snippet, self)

    @property
    def clip_id(self) -> str:
        """The clip, after the file's name."""
        return self.path.stem

    def statistics(self, *, as_published: bool = False) -> RolloutStatistics:
        """Return the statistics stored in the file.

        Files of the original project divide action sums by the number of observations. That is undone here unless
        `as_published` asks for their numbers as they stand.
        """
        with h5.damage_named(self.path):
            stats = {spec.path: h5.read_small(self.handle, spec.path) for spec in schema.FILE_ARRAYS if self._has(spec)}
            count = int(stats["stats/count"])
            known = "stats/act_count" in stats
            act_count = int(stats["stats/act_count"]) if known else self._total_steps()
            scaled = not known and not as_published
        proprio = RunningStatistics.of_moments(count, stats["stats/proprio_mean"], stats["stats/proprio_var"])  # type: ignore[arg-type]
        actions = [self._action_moments(stats, name, count, act_count, scaled=scaled) for name in ("act", "mean_act")]
        return RolloutStatistics(proprio, *actions)

    def _action_moments(
        self, stats: dict[str, NDArray[np.generic]], name: str, count: int, act_count: int, *, scaled: bool
    ) -> RunningStatistics:
        mean, var = stats.get(f"stats/{name}_mean"), stats.get(f"stats/{name}_var")
        if mean is None or var is None:
            return RunningStatistics.empty(0)
        means, variances = mean.astype(np.float64), var.astype(np.float64)
        if scaled:
            return corrected_action_moments(means, variances, count, act_count)
        return RunningStatistics.of_moments(act_count, means, variances)

    def _has(self, spec: schema.ArraySpec) -> bool:
        return spec.required or h5.find(self.handle, spec.path) is not None

    def _total_steps(self) -> int:
        return int(sum(self[name].lengths.sum() for name in self.snippets))

    def _count(self, name: str) -> int:
        value = h5.read_small(self.handle, name)
        if value.shape != () or value.dtype.kind not in "iu" or int(value) < 0:
            raise InvalidInputError(f"{name} is not a count.")
        return int(value)

    def _columns(self) -> Iterator[tuple[str, slice | NDArray[np.int64]]]:
        for name in self.observable_names:
            indices = h5.read_small(self.handle, f"{schema.OBSERVABLE_INDICES}/{name}").astype(np.int64).ravel()
            adjacent = len(indices) > 0 and bool(np.all(np.diff(indices) == 1))
            yield name, slice(int(indices[0]), int(indices[-1]) + 1) if adjacent else indices

    def _observable_names(self) -> list[str]:
        root = h5.find(self.handle, schema.OBSERVABLE_INDICES)
        if root is None or not hasattr(root, "keys"):
            raise InvalidInputError(
                f"{schema.OBSERVABLE_INDICES} is missing: this is not a rollout file.",
                hint="Rollout files come from `mocapact rollout` or `mocapact download`.",
            )
        groups = [(prefix, h5.find(root, prefix)) for prefix in root]
        return [f"{prefix}/{name}" for prefix, group in groups if hasattr(group, "keys") for name in group or ()]


class Rollouts:
    """The rollouts of one file or of a folder of files.

    Attributes:
        files: The files, by name; each is opened when it is first needed.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.files = {path.stem: path for path in paths}
        self._open: dict[str, RolloutFile] = {}

    def __enter__(self) -> Rollouts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1].close()

    def file(self, clip_id: str) -> RolloutFile:
        """Return the rollouts of one clip.

        Raises:
            NotFoundError: There is no file of that clip.
        """
        if clip_id not in self.files:
            raise NotFoundError(f"There are no rollouts of {clip_id!r}.", hint=did_you_mean(clip_id, self.files))
        if clip_id not in self._open:
            self._open[clip_id] = RolloutFile(self.files[clip_id])
        return self._open[clip_id]

    @cached_property
    def snippets(self) -> tuple[str, ...]:
        """Names of all snippets, by clip and start step."""
        return tuple(snippet for clip_id in self.files for snippet in self.file(clip_id).snippets)

    def file_of(self, snippet: str) -> RolloutFile:
        """Return the file that holds a snippet.

        Raises:
            NotFoundError: No file does.
        """
        parsed = snippet_named(snippet)
        likely = [parsed.clip_id] if parsed is not None and parsed.clip_id in self.files else list(self.files)
        for clip_id in likely:
            if snippet in (file := self.file(clip_id)).snippets:
                return file
        raise NotFoundError(f"There are no rollouts of {snippet!r}.", hint=did_you_mean(snippet, self.snippets))

    def __getitem__(self, snippet: str) -> SnippetRollouts:
        return self.file_of(snippet)[snippet]

    def __iter__(self) -> Iterator[Episode]:
        """Iterate over all episodes."""
        return (episode for snippet in self.snippets for episode in self[snippet])

    def statistics(self, *, as_published: bool = False) -> RolloutStatistics:
        """Merge the statistics of all files (see `RolloutFile.statistics`)."""
        parts = [self.file(clip_id).statistics(as_published=as_published) for clip_id in self.files]
        total = parts[0]
        for part in parts[1:]:
            total.merge(part)
        return total


def column_numbers(file: RolloutFile) -> dict[str, NDArray[np.int64]]:
    """Return the numbers of each observable's columns."""
    return {
        name: np.arange(columns.start, columns.stop) if isinstance(columns, slice) else columns
        for name, columns in file.observables.items()
    }


def check_columns(columns: Mapping[str, NDArray[np.int64]], width: int) -> None:
    """See that observables lie inside observations.

    Args:
        columns: Observable -> its column numbers.
        width: Columns that observations have.

    Raises:
        InvalidInputError: One does not.
    """
    for name, numbers in columns.items():
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < width:
            raise InvalidInputError(f"observable {name} has columns outside the {width} there are.")


def rollout_paths(path: Path | str) -> list[Path]:
    """Return the rollout files at `path`: itself, or the HDF5 files in the folder, by name.

    Raises:
        NotFoundError: There is nothing.
    """
    path = Path(path)
    if path.is_dir():
        found = sorted(item for item in path.iterdir() if item.suffix == SUFFIX and not item.name.startswith("."))
        if not found:
            raise NotFoundError(
                f"{path} holds no rollout files (*{SUFFIX}).", hint="Give a file, or the folder that holds them."
            )
        return found
    if not path.exists():
        raise NotFoundError(f"{path} does not exist.", hint="Check the path.")
    return [path]


def read_rollouts(path: Path | str) -> Rollouts:
    """Open the rollouts of a file or folder; nothing but headers is read until it is asked for.

    >>> rollouts = read_rollouts("dataset")                                      # doctest: +SKIP
    >>> rollouts["CMU_016_22-0-82"][0].observable("walker/joints_pos").shape     # doctest: +SKIP
    (84, 56)

    Raises:
        NotFoundError: The path does not exist or holds no HDF5 files.
    """
    return Rollouts(rollout_paths(path))
