"""Metrics of tracking, and their summary over episodes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.envs.batch import EpisodeEnd, TrackingBatch
    from mocapact_cli.core.rollouts.episodes import Tick

POSE_OBSERVABLES = ("walker/reference_rel_bodies_pos_local", "walker/reference_rel_root_pos_local")
"""What `PoseErrors` needs to see: where the reference's bodies and root are, seen from the walker's root."""


def normalized_length(start_step: int, end_step: int, last_step: int) -> float:
    """Return (t_end - t_start) / (t_last - t_start): which share of the possible steps an episode lasted."""
    return (end_step - start_step) / (last_step - start_step)


def normalized_return(episode_return: float, length: int, norm_length: float) -> float:
    """Return the mean reward a step times the normalized length."""
    return episode_return / length * norm_length


@dataclass(frozen=True)
class ScoredEpisode:
    """One evaluated episode.

    Attributes:
        end: How it went.
        mpjpe: Mean distance of the bodies from the reference's, metres; NaN if not measured.
        mpjpe_root: The same with both roots moved together.
    """

    end: EpisodeEnd
    mpjpe: float = float("nan")
    mpjpe_root: float = float("nan")


class PoseErrors:
    """A listener that adds up each episode's mean per-joint position errors (MPJPE).

    The positions are those of the 31 bodies that the reference tracks; the error of an episode is the mean over its
    poses after the first, and over bodies. Distances do not depend on the frame they are measured in.

    Args:
        batch: Environments that show `POSE_OBSERVABLES` at reference step 0.
        episodes: Number of planned episodes.
    """

    def __init__(self, batch: TrackingBatch, episodes: int) -> None:
        if batch.config.ref_steps[0] != 0:
            raise UsageError("Pose errors need a reference step 0, the pose of now.")
        self._references = len(batch.config.ref_steps)
        self._bodies, self._root = (batch.layout.slices[name] for name in POSE_OBSERVABLES)
        self._sums = np.zeros((episodes, 2))
        self._counts = np.zeros(episodes, dtype=np.int64)

    def on_tick(self, tick: Tick) -> None:
        """Add the errors after this step."""
        busy = np.flatnonzero(tick.episodes >= 0)
        after = tick.result.observations.copy()
        after[tick.result.done_envs] = tick.result.final_observations
        # No episode is in two environments, so that no index repeats.
        self._sums[tick.episodes[busy]] += self._errors(after[busy])
        self._counts[tick.episodes[busy]] += 1

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """Need nothing at an episode's end."""

    def means(self) -> NDArray[np.float64]:
        """Return (episodes, 2): MPJPE and root-relative MPJPE, metres."""
        return self._sums / np.maximum(self._counts, 1)[:, None]

    def _errors(self, observations: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (n, 2) errors of the poses that the observations (n, P) were taken of."""
        shape = (len(observations), self._references, -1, 3)
        bodies = observations[:, self._bodies].astype(np.float64).reshape(shape)[:, 0]
        root = observations[:, self._root].astype(np.float64).reshape(shape)[:, 0]
        distances = [np.linalg.norm(offsets, axis=-1).mean(axis=-1) for offsets in (bodies, bodies - root)]
        return np.stack(distances, axis=-1)


def summarize(episodes: Sequence[ScoredEpisode]) -> dict[str, Any]:
    """Return the mean and standard deviation of every metric over `episodes`, by the keys that other tools rely on."""
    if not episodes:
        raise UsageError("There are no episodes to summarize.")
    ends = [episode.end for episode in episodes]
    summary: dict[str, Any] = {
        "episodes": len(episodes),
        "norm_return": _spread([end.norm_return for end in ends]),
        "norm_length": _spread([end.norm_length for end in ends]),
        "return": _spread([end.episode_return for end in ends]),
        "length": _spread([end.length for end in ends]),
        "early_termination_rate": float(np.mean([end.early_termination for end in ends])),
        "diverged": sum(end.diverged for end in ends),
    }
    if not np.isnan(episodes[0].mpjpe):
        summary["mpjpe_mm"] = {
            "global": _spread([1000 * episode.mpjpe for episode in episodes]),
            "root_relative": _spread([1000 * episode.mpjpe_root for episode in episodes]),
        }
    return summary


def summarize_by_snippet(episodes: Sequence[ScoredEpisode], snippets: Sequence[str]) -> list[dict[str, Any]]:
    """Return the summary of each snippet that has episodes, under its name, in the order of `snippets`."""
    groups: dict[int, list[ScoredEpisode]] = defaultdict(list)
    for episode in episodes:
        groups[episode.end.snippet_index].append(episode)
    return [{"snippet": snippets[index]} | summarize(groups[index]) for index in sorted(groups)]


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "std": float(np.std(values))}
