"""How one policy does on many snippets: on which it fails and why, a picture, a table of every episode, a film."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.evaluation.evaluate import EvalConfig, Evaluation, evaluate, evaluate_baseline
from mocapact_cli.core.evaluation.expert_report import NORM_LENGTH_THRESHOLD, below_threshold
from mocapact_cli.core.evaluation.metrics import summarize_by_snippet
from mocapact_cli.core.evaluation.motion import MotionScores
from mocapact_cli.core.evaluation.report import EvaluationHistory
from mocapact_cli.core.formatting import counted
from mocapact_cli.core.media.snippet_plot import SnippetScore, plot_snippets
from mocapact_cli.core.media.walker_tiles import Tile, film_walkers
from mocapact_cli.core.rollouts.controllers import check_baselines
from mocapact_cli.core.rollouts.sampling import drawable
from mocapact_cli.core.rollouts.trajectory import record_episodes
from mocapact_cli.core.tasks.tracking import TrackingConfig
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.envs.batch import EpisodeEnd
    from mocapact_cli.core.policies.base import Policy
    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.rollouts.trajectory import Trajectory

    Pair = tuple[Clip, Snippet]

DEFAULT_EPISODES = 1000


@dataclass(frozen=True)
class SnippetsReport:
    """An evaluation on many snippets.

    Attributes:
        result: The evaluation.
        threshold: Mean normalized length below which the policy fails on a snippet.
    """

    result: Evaluation
    threshold: float = NORM_LENGTH_THRESHOLD

    @cached_property
    def worst_first(self) -> list[dict[str, Any]]:
        """The scores of each snippet with episodes, those of the lowest normalized length first."""
        rows = summarize_by_snippet(self.result.episodes, self.result.snippets)
        return sorted(rows, key=lambda row: (row["norm_length"]["mean"], row["norm_return"]["mean"], row["snippet"]))

    @cached_property
    def failing(self) -> list[dict[str, str]]:
        """The snippets on which it fails, worst first, and why."""
        ends: dict[str, list[EpisodeEnd]] = defaultdict(list)
        for end in self.result.ends:
            ends[self.result.snippets[end.snippet_index]].append(end)
        failing = [row for row in self.worst_first if row["norm_length"]["mean"] < self.threshold]
        return [{"snippet": row["snippet"], "reason": self._reason(row, ends[row["snippet"]])} for row in failing]

    def _reason(self, row: dict[str, Any], ends: Sequence[EpisodeEnd]) -> str:
        early = [(end.start_step + end.length) * CONTROL_TIMESTEP for end in ends if end.early_termination]
        where = f"{'the middle one ' if len(early) > 1 else ''}at {np.median(early):.2f} s of the clip" if early else ""
        parts = [below_threshold(row["norm_length"]["mean"], self.threshold)]
        parts += [f"{len(early):,} of {counted(len(ends), 'episode')} ended early, {where}."] if early else []
        parts += [f"{counted(row['diverged'], 'simulation')} diverged."] if row["diverged"] else []
        return " ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return the document that `mocapact distill eval --json` prints."""
        return self.result.to_json() | {"threshold": self.threshold, "failing": self.failing}

    def save(self, path: Path) -> None:
        """Write every episode's numbers as an npz file.

        It holds the published keys (of one evaluation, after 0 environment steps, because distilling takes none) and,
        in the same order of N episodes, `snippet` (index into `snippets`), `start_step`, `early_termination`,
        `diverged` and every measure of the motion.
        """
        ends = self.result.ends
        arrays: dict[str, NDArray[Any]] = {
            "snippets": np.array(self.result.snippets),
            "snippet": np.array([end.snippet_index for end in ends]),
            **{name: np.array([getattr(end, name) for end in ends]) for name in ("start_step", "early_termination")},
            "diverged": np.array([end.diverged for end in ends]),
        }
        motions = [episode.motion for episode in self.result.episodes if episode.motion is not None]
        if len(motions) == len(ends):
            names = [field.name for field in fields(MotionScores)]
            arrays |= {name: np.array([getattr(motion, name) for motion in motions]) for name in names}
        EvaluationHistory.of(0, ends).save_with(path, arrays)

    def plot(self, path: Path, *, title: str = "") -> None:
        """Draw the scores of all snippets and how long episodes survive."""
        failing, ends = {row["snippet"] for row in self.failing}, self.result.ends
        scores = [
            SnippetScore(
                row["snippet"], row["norm_length"]["mean"], row["norm_return"]["mean"], row["snippet"] in failing
            )
            for row in self.worst_first
        ]
        lengths, failed = (np.array([getattr(e, name) for e in ends]) for name in ("norm_length", "early_termination"))
        plot_snippets(path, scores, lengths, failed, threshold=self.threshold, title=title)


def default_episodes(snippets: int, config: EvalConfig) -> int:
    """Return how many episodes an evaluation on so many snippets has unless it is told.

    As many as the published one, but at least one of each snippet; and no more than that where all episodes of a
    snippet would be alike.
    """
    alike = config.always_init_at_clip_start and config.act_noise == 0.0 and not config.stochastic
    return snippets if alike else max(DEFAULT_EPISODES, snippets)


def evaluate_snippets(
    policy: Policy,
    pairs: Sequence[Pair],
    config: EvalConfig,
    *,
    baselines: Sequence[str] = (),
    threshold: float = NORM_LENGTH_THRESHOLD,
    save: Path | None = None,
    plot: Path | None = None,
    progress: Progress | None = None,
) -> SnippetsReport:
    """Evaluate a policy on many snippets, its motion included.

    Args:
        policy: Acts.
        pairs: (clip, snippet) pairs.
        config: How it is evaluated.
        baselines: Controllers to run in the same episodes, of `controllers.BASELINES`.
        threshold: Mean normalized length below which it fails on a snippet.
        save: An npz file for every episode's numbers.
        plot: Picture of the snippets' scores and of the episodes' survival; the ending says which kind.
        progress: Told of every episode.

    Raises:
        UsageError: There is no such baseline, or the policy is to draw its embedding but has none.
    """
    check_request(policy, config, baselines)
    result = evaluate(policy, pairs, config, measure_motion=True, progress=progress)
    for name in dict.fromkeys(baselines):
        result.baselines[name] = evaluate_baseline(name, pairs, config, policy.ref_steps, progress=progress)
    report = SnippetsReport(result, threshold)
    if save is not None:
        report.save(save)
    if plot is not None:
        report.plot(
            plot, title=f"{counted(len(result.ends), 'episode')} on {counted(len(report.worst_first), 'snippet')}"
        )
    return report


def check_request(policy: Policy, config: EvalConfig, baselines: Sequence[str]) -> None:
    """Raise a `UsageError` where an evaluation or a film could not be made of this policy."""
    check_baselines(baselines)
    if config.stochastic:
        drawable(policy)


def film_snippets(policy: Policy, pairs: Sequence[Pair], path: Path, config: EvalConfig, *, progress: Progress) -> Path:
    """Film one episode of each snippet from its start without noise on the actions, side by side.

    Args:
        policy: Acts.
        pairs: (clip, snippet) pairs, row by row.
        path: A name that ends in `.mp4`, `.gif` or `.png`.
        config: Its error threshold, seed, threads and whether the embedding is drawn hold for the film too.
        progress: Told of every picture.

    Raises:
        MissingDependencyError: No OpenGL works here.
        UsageError: The file's ending is unknown.
    """
    task = replace(
        TrackingConfig(ref_steps=policy.ref_steps, min_steps=1),
        termination_error_threshold=config.termination_error_threshold,
    )
    seen = record_episodes(
        policy,
        pairs,
        stochastic=config.stochastic,
        seed=config.seed,
        config=task,
        threads=config.threads,
        progress=progress,
    )
    tiles = [_tile(snippet, episode) for (_, snippet), episode in zip(pairs, seen, strict=True)]
    return film_walkers(tiles, path, progress=progress)


def _tile(snippet: Snippet, episode: Trajectory) -> Tile:
    seconds, failed = episode.end.length * CONTROL_TIMESTEP, episode.end.early_termination
    ending = f"ended early at {seconds:.2f} s" if failed else f"complete, {seconds:.2f} s"
    return Tile(str(snippet), episode.qpos, ending, episode.reference_qpos, failed, rewards=list(episode.rewards))


def spread_choice(pairs: Sequence[Pair], count: int, report: SnippetsReport | None = None) -> list[Pair]:
    """Return `count` of the pairs to film: from the worst to the best in even steps, or in their order without scores.

    Args:
        pairs: (clip, snippet) pairs.
        count: How many, at least one; of fewer pairs, all.
        report: How the policy does on them.
    """
    named = {str(snippet): (clip, snippet) for clip, snippet in pairs}
    ranked = list(named) if report is None else [row["snippet"] for row in report.worst_first]
    places = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    return [named[ranked[place]] for place in places]
