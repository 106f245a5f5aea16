"""Metrics of tracking, and their summary over episodes."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.envs.batch import EpisodeEnd
    from mocapact_cli.core.evaluation.motion import MotionScores


@dataclass(frozen=True)
class ScoredEpisode:
    """One evaluated episode: how it went and, if that was measured, how its motion compares with the reference."""

    end: EpisodeEnd
    motion: MotionScores | None = None


def summarize(episodes: Sequence[ScoredEpisode]) -> dict[str, Any]:
    """Return the mean and standard deviation of every metric over `episodes`, by the keys that other tools rely on.

    Raises:
        UsageError: There are no episodes.
    """
    if not episodes:
        raise UsageError("There are no episodes to summarize.")
    ends = [episode.end for episode in episodes]
    failed = float(np.mean([end.early_termination for end in ends]))
    summary: dict[str, Any] = {
        "episodes": len(episodes),
        "norm_return": spread([end.norm_return for end in ends]),
        "norm_length": spread([end.norm_length for end in ends]),
        "return": spread([end.episode_return for end in ends]),
        "length": spread([end.length for end in ends]),
        "success_rate": 1.0 - failed,
        "early_termination_rate": failed,
        "diverged": sum(end.diverged for end in ends),
    }
    return summary | _motion_summary([episode.motion for episode in episodes if episode.motion is not None])


def summarize_by_snippet(episodes: Sequence[ScoredEpisode], snippets: Sequence[str]) -> list[dict[str, Any]]:
    """Return the summary of each snippet that has episodes, under its name, in the order of `snippets`."""
    groups: dict[int, list[ScoredEpisode]] = defaultdict(list)
    for episode in episodes:
        groups[episode.end.snippet_index].append(episode)
    return [{"snippet": snippets[index]} | summarize(groups[index]) for index in sorted(groups)]


def _motion_summary(scores: Sequence[MotionScores]) -> dict[str, Any]:
    """Return every measure under its name, the three kinds of MPJPE together; nothing if nothing was measured."""
    if not scores:
        return {}
    names = [field.name for field in fields(scores[0])]
    measures = {name: spread([getattr(score, name) for score in scores]) for name in names}
    kinds = ("global", "root_relative", "procrustes")
    return {"mpjpe_mm": {kind: measures.pop(f"mpjpe_{kind}_mm") for kind in kinds}} | measures


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return mean and standard deviation of the values that are numbers; NaN if none is."""
    known = np.array([value for value in values if not math.isnan(value)])
    if not known.size:
        return {"mean": math.nan, "std": math.nan}
    return {"mean": float(known.mean()), "std": float(known.std())}
