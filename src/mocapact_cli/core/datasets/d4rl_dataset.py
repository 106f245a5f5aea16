"""`D4RLDataset`: transitions for offline reinforcement learning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.datasets.expert_dataset import ExpertDataset, Observables
from mocapact_cli.core.datasets.scan import ALL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mocapact_cli.core.progress import Progress

    Transition = tuple[Any, NDArray[np.float32], np.float32, Any, bool, bool]

MAX_TRANSITIONS = 2_000_000


class D4RLDataset(ExpertDataset):
    """Transitions of recorded experts, as D4RL (Fu et al., 2020) has them; arguments are the original project's.

    `dataset[i]` gives `(observation, action, reward, next observation, terminal, timeout)`, and iterating goes over
    all of them without holding more than one. `terminal` is set at the last step of an episode that failed,
    `timeout` at the last step of one that did not.

    Args and errors as of `mocapact_cli.core.datasets.expert_dataset.ExpertDataset`.
    """

    def __init__(  # noqa: PLR0917 - in the original's order, so that people's code ports
        self,
        hdf5_fnames: Sequence[Path | str],
        observables: Observables,
        metrics_path: Path | str | None = None,
        clip_ids: Sequence[str] | None = None,
        max_clip_len: int = 210,
        normalize_obs: bool = False,
        normalize_act: bool = False,
        return_mean_act: bool = False,
        clip_len_upsampling: bool = False,
        n_start_rollouts: int = ALL,
        n_rsi_rollouts: int = ALL,
        concat_observables: bool = True,
        keep_hdf5s_open: bool = False,
        *,
        cache_dir: Path | str | None = None,
        in_memory: bool = False,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(
            hdf5_fnames,
            observables,
            metrics_path,
            clip_ids=clip_ids,
            max_clip_len=max_clip_len,
            normalize_obs=normalize_obs,
            normalize_act=normalize_act,
            return_mean_act=return_mean_act,
            clip_len_upsampling=clip_len_upsampling,
            n_start_rollouts=n_start_rollouts,
            n_rsi_rollouts=n_rsi_rollouts,
            concat_observables=concat_observables,
            keep_hdf5s_open=keep_hdf5s_open,
            cache_dir=cache_dir,
            in_memory=in_memory,
            progress=progress,
        )
        self._failed = np.array([episode.early_termination for episode in self._scan.episodes])

    def __getitem__(self, idx: int) -> Transition:  # type: ignore[override]
        """Return one transition: observation (P,), action (A,), reward, next observation (P,), terminal, timeout."""
        rows = self.rows(self._whole([idx]))
        row = int(rows.first[0])
        terminal, timeout = (bool(flags[0]) for flags in self._ends(rows.episodes, rows.steps))
        return (
            self._observed(row),
            self._acted(row),
            self.store.rewards[row],
            self._observed(row + 1),
            terminal,
            timeout,
        )

    def __iter__(self) -> Iterator[Transition]:
        return (self[index] for index in range(len(self)))

    def get_in_memory_rollouts(self, max_transitions: int = MAX_TRANSITIONS) -> dict[str, Any]:
        """Return the first transitions as arrays.

        Args:
            max_transitions: How many at most.

        Returns:
            `observations` and `next_observations` (n, P), `actions` (n, A), `rewards` (n,), `terminals` (n,)
            and `timeouts` (n,); observations are dictionaries of arrays where the dataset gives dictionaries.
        """
        rows = self.rows(np.arange(min(len(self), max_transitions)))
        terminals, timeouts = self._ends(rows.episodes, rows.steps)
        return {
            "observations": self._gathered(rows.first),
            "actions": self.normalize_actions(self.store.actions[rows.first]),
            "rewards": self.store.rewards[rows.first],
            "next_observations": self._gathered(rows.first + 1),
            "terminals": terminals,
            "timeouts": timeouts,
        }

    def _gathered(self, rows: NDArray[np.int64]) -> Any:
        views: Mapping[str, Any] = {name: self.normalize(name, view[rows]) for name, view in self.store.views.items()}
        return self.arranged(views)

    def _ends(
        self, episodes: NDArray[np.int64], steps: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(n,) whether a step is its episode's last and the episode failed, and whether it did not."""
        last = steps == self._lengths[episodes] - 1
        return last & self._failed[episodes], last & ~self._failed[episodes]
