"""`ExpertDataset`: samples for imitation, single steps or windows of steps, one by one or in whole batches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.datasets.flat_store import FlatStore, Request, open_store
from mocapact_cli.core.datasets.metrics import METRICS_FILE, DatasetMetrics, collect_metrics
from mocapact_cli.core.datasets.metrics_npz import read_metrics
from mocapact_cli.core.datasets.scan import ALL, DatasetScan, scan_dataset
from mocapact_cli.core.datasets.weighting import Offsets, Weighting
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from mocapact_cli.core.datasets.scan import ScannedEpisode
    from mocapact_cli.core.progress import Progress

    Float32Array = NDArray[np.float32]

Observables = Sequence[str] | Mapping[str, Sequence[str]]
UPSAMPLING = 10
"""Samples of a snippet as long as `max_clip_len` under upsampling; shorter snippets have more."""
_WHOLE = ""
"""Name of the only view where the observables are a plain list."""


@dataclass(frozen=True)
class Rows:
    """Where k samples lie in the flat store.

    Attributes:
        episodes: (k,) their episodes.
        steps: (k,) their first steps in them.
        first: (k,) rows of their first steps.
        lengths: (k,) steps with an action, at most the window.
    """

    episodes: NDArray[np.int64]
    steps: NDArray[np.int64]
    first: NDArray[np.int64]
    lengths: NDArray[np.int64]


class ExpertDataset:
    """Observations, actions and weights of recorded experts; names, arguments and numbers are the original project's.

    `dataset[i]` gives `(observation, action, weight)` of a step, or of a window of steps where `max_seq_steps` is
    above one; it suits PyTorch's `DataLoader` as it is. `batch` and
    `mocapact_cli.core.datasets.loader.BatchLoader` gather whole batches at once, which is far faster. What is
    needed of the files is laid flat once, see `mocapact_cli.core.datasets.flat_store`.

    Args:
        hdf5_fnames: Rollout files that were recorded alike.
        observables: Names of observables, or several such lists by name (`{"ref_encoder": [...], ...}`).
        metrics_path: `dataset_metrics.npz`; None for the one beside the first file, or the files' own numbers where
            there is none.
        clip_ids: Snippets or clips to take; None for all.
        max_clip_len: Longest snippet, in steps.
        min_seq_steps: Shortest window.
        max_seq_steps: Longest window. A window that reaches beyond its episode's last
            action has one observation more than actions.
        normalize_obs: Subtract the dataset's mean from observations and divide by its standard deviation.
        normalize_act: The same of actions.
        return_mean_act: Give the expert's mean actions instead of those executed.
        clip_len_upsampling: Repeat the samples of short snippets.
        n_start_rollouts: At most so many episodes from a snippet's start.
        n_rsi_rollouts: From random steps. -1: all.
        concat_observables: One array, instead of one for each observable.
        clip_weighted: Weights by snippet (CWR).
        advantage_weights: By advantage (AWR), else by value plus advantage
            (RWR).
        temperature: Of the weights; None for equal ones (BC).
        max_weight: Their upper limit.
        keep_hdf5s_open: Without meaning here.
        skip_last_steps: Steps before each episode's end that no sample reaches into.
        cache_dir: Of the flat copy; default `MOCAPACT_HOME/cache/datasets`.
        in_memory: Keep the copy in memory and write nothing.
        progress: Told while the copy is made.

    Raises:
        NotFoundError: A file, the metrics, an observable or every snippet is missing.
        InvalidInputError: A file is damaged, or the files are no one dataset.
        RunError: The copy could not be written.
        UsageError: The window is impossible.
    """

    def __init__(  # noqa: PLR0917 - in the original's order, so that people's code ports
        self,
        hdf5_fnames: Sequence[Path | str],
        observables: Observables,
        metrics_path: Path | str | None = None,
        clip_ids: Sequence[str] | None = None,
        max_clip_len: int = 210,
        min_seq_steps: int = 1,
        max_seq_steps: int = 1,
        normalize_obs: bool = False,
        normalize_act: bool = False,
        return_mean_act: bool = True,
        clip_len_upsampling: bool = False,
        n_start_rollouts: int = ALL,
        n_rsi_rollouts: int = ALL,
        concat_observables: bool = True,
        clip_weighted: bool = False,
        advantage_weights: bool = True,
        temperature: float | None = None,
        max_weight: float = math.inf,
        keep_hdf5s_open: bool = False,  # noqa: ARG002 - people's code passes it
        *,
        skip_last_steps: int = 0,
        cache_dir: Path | str | None = None,
        in_memory: bool = False,
        progress: Progress | None = None,
    ) -> None:
        if temperature is not None and not temperature > 0.0:
            raise UsageError(f"The temperature of the weights is {temperature}.", hint="Give a number above zero.")
        if not 1 <= min_seq_steps <= max_seq_steps:
            raise UsageError(f"Windows of {min_seq_steps} to {max_seq_steps} steps are impossible.")
        if skip_last_steps < 0:
            raise UsageError(f"{skip_last_steps} steps cannot be skipped.", hint="Give 0 or more.")
        self._scan = scan_dataset(
            hdf5_fnames, clip_ids=clip_ids, n_start_rollouts=n_start_rollouts, n_rsi_rollouts=n_rsi_rollouts
        )
        self._observables = _by_view(observables)
        self._single_view = not isinstance(observables, Mapping)
        self._min_seq_steps, self._max_seq_steps, self._skip_last = min_seq_steps, max_seq_steps, skip_last_steps
        self._normalize_obs, self._normalize_act = normalize_obs, normalize_act
        self._act_name = "mean_actions" if return_mean_act else "actions"
        self._concat_observables = concat_observables
        self._weighting = Weighting(
            math.inf if temperature is None else temperature, clip_weighted, advantage_weights, max_weight
        )
        columns = {view: self._columns_of(names) for view, names in self._observables.items()}
        self._metrics = _metrics(self._scan, metrics_path)
        self._index(max_clip_len if clip_len_upsampling else None)
        self._request = Request(self._scan, columns, self._act_name)
        folder = None if cache_dir is None else Path(cache_dir)
        self.store: FlatStore = open_store(self._request, folder=folder, in_memory=in_memory, progress=progress)

    def __len__(self) -> int:
        return self._total_len

    def __getitem__(self, idx: int) -> tuple[Any, Float32Array, Float32Array]:
        """Return observation, action and weight of sample `idx`.

        For one step (P,), (A,) and (); for a window of L steps (L, P), (L, A) and (L,), where the episode's end may
        leave one action less than observations. Several views, or observables that are not put together, come as
        dictionaries.
        """
        rows = self.rows(self._whole([idx]))
        first, length = int(rows.first[0]), int(rows.lengths[0])
        if not self.is_sequential:
            return self._observed(first), self._acted(first), self.row_weights[first]
        beyond = int(length < self._max_seq_steps)
        seen, acted = slice(first, first + length + beyond), slice(first, first + length)
        # Weights that come from samples exist where actions do; equal ones, and a snippet's, for every observation.
        weighted = acted if self._weighted_by_sample else seen
        return self._observed(seen), self._acted(acted), self.row_weights[weighted]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, Float32Array, Float32Array]]:
        """Return several samples; PyTorch's loader asks so."""
        return [self[index] for index in indices]

    def rows(self, indices: NDArray[np.integer]) -> Rows:
        """Where the samples (k,) lie."""
        episodes = np.searchsorted(self._logical, indices, side="right") - 1
        steps = (indices - self._logical[episodes]) // self._repeats[episodes]
        lengths = np.minimum(self._lengths[episodes] - self._skip_last - steps, self._max_seq_steps)
        return Rows(episodes, steps, self._first_rows[episodes] + steps, lengths)

    @property
    def is_sequential(self) -> bool:
        """Whether samples are windows."""
        return self._max_seq_steps > 1

    @property
    def max_seq_steps(self) -> int:
        """L, the longest window."""
        return self._max_seq_steps

    @property
    def views(self) -> dict[str, tuple[str, ...]]:
        """Name of each view -> its observables; a plain list is one view without a name."""
        return dict(self._observables)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return self._scan.paths

    @property
    def episodes(self) -> tuple[ScannedEpisode, ...]:
        """The episodes, as `Rows.episodes` counts them."""
        return self._scan.episodes

    @property
    def columns(self) -> Mapping[str, NDArray[np.int64]]:
        """Name of each view -> its columns of the files."""
        return self._request.views

    @property
    def normalizes_obs(self) -> bool:
        """Whether observations are normalized."""
        return self._normalize_obs

    @property
    def normalizes_act(self) -> bool:
        """Whether actions are normalized."""
        return self._normalize_act

    @property
    def clip_snippets_flat(self) -> tuple[str, ...]:
        """Names of the snippets, file by file."""
        return tuple(name for names in self._scan.snippets for name in names)

    @property
    def observable_indices(self) -> dict[str, NDArray[np.int64]]:
        """Every observable of the files -> its columns there."""
        return dict(self._scan.observable_indices)

    @property
    def ref_steps(self) -> NDArray[np.int64]:
        """(K,) steps ahead at which the reference observables look."""
        return self._scan.ref_steps

    @cached_property
    def full_observation_space(self) -> Any:
        """`spaces.Dict` of every observable of the files."""
        return _dict_space({name: len(columns) for name, columns in self._scan.observable_indices.items()})

    @cached_property
    def observation_space(self) -> Any:
        """Space of an observation; a dictionary of spaces where there are several views."""
        spaces = {view: self._space(names) for view, names in self._observables.items()}
        return spaces[_WHOLE] if self._single_view else spaces

    @cached_property
    def action_space(self) -> Any:
        """Space of an action."""
        from gymnasium import spaces

        return spaces.Box(np.float32(-1.0), np.float32(1.0), (self._scan.act_size,), np.float32)

    @property
    def proprio_mean(self) -> Float32Array:
        """(P,) mean of all columns of the files."""
        return self._statistic("proprio_mean")

    @property
    def proprio_var(self) -> Float32Array:
        """(P,) variance of all columns."""
        return self._statistic("proprio_var")

    @cached_property
    def proprio_std(self) -> Float32Array:
        """(P,) what observations are divided by."""
        return _deviation(self.proprio_var)

    @property
    def act_mean(self) -> Float32Array:
        """(A,) mean of the actions."""
        return self._statistic(self._act_prefix + "_mean")

    @property
    def act_var(self) -> Float32Array:
        """(A,) variance of the actions."""
        return self._statistic(self._act_prefix + "_var")

    @cached_property
    def act_std(self) -> Float32Array:
        """(A,) what actions are divided by."""
        return _deviation(self.act_var)

    @property
    def count(self) -> int:
        """Number of observations behind the statistics."""
        return int(self._metrics.arrays["count"])

    @cached_property
    def obs_rms(self) -> dict[str, Any]:
        """Every observable of the files -> its Stable-Baselines3 `RunningMeanStd`."""
        from stable_baselines3.common.running_mean_std import RunningMeanStd

        found = {}
        for name, columns in self._scan.observable_indices.items():
            found[name] = RunningMeanStd(shape=())
            found[name].mean = self.proprio_mean[columns].astype(np.float64)
            found[name].var = self.proprio_var[columns].astype(np.float64)
            found[name].count = self.count
        return found

    @cached_property
    def snippet_returns(self) -> dict[str, float]:
        """Snippet -> mean normalized return, of the whole dataset."""
        return dict(self._metrics.snippet_returns)

    @cached_property
    def advantages(self) -> dict[str, NDArray[np.floating]]:
        """Snippet -> advantages of all its steps, of the snippets that are taken."""
        return self._of_taken(self._metrics.advantages)

    @cached_property
    def values(self) -> dict[str, NDArray[np.floating]]:
        """Snippet -> values of all its steps, of the snippets that are taken."""
        return self._of_taken(self._metrics.values)

    @cached_property
    def offsets(self) -> Offsets:
        """What the weights are measured from."""
        return Offsets.of_dataset(self.snippet_returns, self.values, self.advantages, self._weighting.temperature)

    def normalize(self, view: str, observations: Float32Array) -> Float32Array:
        """Normalize observations (..., C) of a view, in place, if the dataset is to."""
        if self._normalize_obs:
            columns = self._request.views[view]
            observations -= self.proprio_mean[columns]
            observations /= self.proprio_std[columns]
        return observations

    def normalize_actions(self, actions: Float32Array) -> Float32Array:
        """Normalize actions (..., A) in place, if the dataset is to."""
        if self._normalize_act:
            actions -= self.act_mean
            actions /= self.act_std
        return actions

    def arranged(self, views: Mapping[str, Any]) -> Any:
        """Observations (..., C) by view, NumPy's or PyTorch's, in the form in which the dataset gives them."""
        parts = {name: self._split(name, values) for name, values in views.items()}
        return parts[_WHOLE] if self._single_view else parts

    @property
    def _act_prefix(self) -> str:
        return "mean_act" if self._act_name == "mean_actions" else "act"

    @property
    def _weighted_by_sample(self) -> bool:
        return not self._weighting.equal and not self._weighting.clip_weighted

    @cached_property
    def row_weights(self) -> Float32Array:
        """(N,) weight of every row of the store."""
        if self._weighting.equal:
            return np.ones(len(self.store.rewards), dtype=np.float32)
        if self._weighting.clip_weighted:
            known = {name: self._snippet_weight(name) for name in self.clip_snippets_flat}
            per_episode = np.array([known[episode.snippet] for episode in self._scan.episodes], dtype=np.float32)
            return np.repeat(per_episode, self._lengths + 1)
        by_advantage = self._weighting.advantage_weights
        energies = self.store.advantages if by_advantage else self.store.values + self.store.advantages
        offset = self.offsets.advantage if by_advantage else self.offsets.q_value
        return self._weighting.of_samples(energies, offset, precise=not self.is_sequential)

    def _snippet_weight(self, name: str) -> float:
        return self._weighting.of_snippet(self.snippet_returns[name], self.offsets.snippet_return)

    def _index(self, max_clip_len: int | None) -> None:
        """Number the samples: (E,) first sample, first row, repeats of a step and length of every episode."""
        episodes = self._scan.episodes
        self._lengths = np.array([episode.length for episode in episodes], dtype=np.int64)
        repeats = [_repeats(episode.snippet, max_clip_len) for episode in episodes]
        self._repeats = np.array(repeats, dtype=np.int64)
        samples = self._repeats * np.maximum(self._lengths - self._skip_last - (self._min_seq_steps - 1), 0)
        self._logical = np.concatenate([[0], np.cumsum(samples)[:-1]]).astype(np.int64)
        self._first_rows = np.concatenate([[0], np.cumsum(self._lengths + 1)[:-1]]).astype(np.int64)
        self._total_len = int(samples.sum())

    def _whole(self, indices: Iterable[int]) -> NDArray[np.int64]:
        """Check samples' numbers, and count negative ones from the end."""
        numbers = np.array(list(indices), dtype=np.int64)
        if ((numbers < -len(self)) | (numbers >= len(self))).any():
            raise IndexError(f"the dataset has {len(self)} samples")
        return numbers % len(self)

    def _observed(self, rows: int | slice) -> Any:
        views = {name: self.normalize(name, np.array(view[rows])) for name, view in self.store.views.items()}
        return self.arranged(views)

    def _acted(self, rows: int | slice) -> Float32Array:
        return self.normalize_actions(np.array(self.store.actions[rows]))

    def _split(self, view: str, values: Any) -> Any:
        if self._concat_observables:
            return values
        sizes = [len(self._scan.observable_indices[name]) for name in self._observables[view]]
        ends = np.cumsum(sizes)
        spans = zip(self._observables[view], ends - sizes, ends, strict=True)
        return {name: values[..., begin:end] for name, begin, end in spans}

    def _space(self, names: Sequence[str]) -> Any:
        from gymnasium import spaces

        sizes = {name: len(self._scan.observable_indices[name]) for name in names}
        if self._concat_observables:
            return spaces.Box(-np.inf, np.inf, (sum(sizes.values()),), np.float32)
        return _dict_space(sizes)

    def _columns_of(self, names: Sequence[str]) -> NDArray[np.int64]:
        known = self._scan.observable_indices
        unknown = [name for name in names if name not in known]
        if unknown:
            hint = did_you_mean(unknown[0], known) or f"It has {', '.join(known)}."
            raise NotFoundError(f"{self._scan.paths[0]} has no observable {unknown[0]!r}.", hint=hint)
        return np.concatenate([known[name] for name in names] or [np.zeros(0, np.int64)])

    def _statistic(self, name: str) -> Float32Array:
        return np.asarray(self._metrics.arrays[name], dtype=np.float32)

    def _of_taken(self, metrics: Mapping[str, NDArray[np.floating]]) -> dict[str, NDArray[np.floating]]:
        taken = set(self.clip_snippets_flat)
        return {name: values for name, values in metrics.items() if name in taken}


def _by_view(observables: Observables) -> dict[str, tuple[str, ...]]:
    if isinstance(observables, Mapping):
        return {view: tuple(names) for view, names in observables.items()}
    return {_WHOLE: tuple(observables)}


def _repeats(snippet: str, max_clip_len: int | None) -> int:
    """How often a step counts; the end steps stand in the snippet's name."""
    if max_clip_len is None:
        return 1
    named = Snippet.parse(snippet)
    return int(max_clip_len / (named.end_step - named.start_step) * UPSAMPLING)


def _deviation(variance: Float32Array) -> Float32Array:
    # A column that never changes must not be divided by zero.
    return np.asarray(np.sqrt(variance) + np.float32(1e-4), dtype=np.float32)


def _dict_space(sizes: Mapping[str, int]) -> Any:
    from gymnasium import spaces

    return spaces.Dict({name: spaces.Box(-np.inf, np.inf, (size,), np.float32) for name, size in sizes.items()})


def _metrics(scan: DatasetScan, path: Path | str | None) -> DatasetMetrics:
    """Read the metrics and see that they know the dataset."""
    beside = scan.paths[0].parent / METRICS_FILE
    if path is None and not beside.is_file():
        return collect_metrics(list(scan.paths))
    metrics = read_metrics(beside if path is None else path)
    columns = sum(len(numbers) for numbers in scan.observable_indices.values())
    if np.shape(metrics.arrays["proprio_mean"]) != (columns,):
        raise InvalidInputError(f"{path or beside} is of another dataset: its observations have other columns.")
    for snippet in (name for names in scan.snippets for name in names):
        if not all(snippet in part for part in (metrics.snippet_returns, metrics.values, metrics.advantages)):
            hint = "Give the metrics of these files, or none."
            raise InvalidInputError(f"{path or beside} knows nothing of {snippet}.", hint=hint)
    return metrics
