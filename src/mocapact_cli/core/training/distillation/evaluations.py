"""Evaluations along the way: in simulation on several sets of snippets, and the loss of rollouts that are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mocapact_cli.core.datasets.selection import parse_selection
from mocapact_cli.core.evaluation.evaluate import EvalConfig, evaluate, plan_evaluation
from mocapact_cli.core.evaluation.policy import named_pairs
from mocapact_cli.core.policies.distilled import DistilledPolicy
from mocapact_cli.core.training.distillation.config import EVAL_MODES, DistillConfig
from mocapact_cli.core.training.distillation.data import Division
from mocapact_cli.core.training.distillation.module import fix_draws

if TYPE_CHECKING:
    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.datasets.loader import BatchLoader

Pairs = Sequence[tuple["Clip", "Snippet"]]
Subjects = Mapping[str, Pairs]
"""`train`, `val` and `clips` -> the snippets to evaluate on, with their clips."""
SCORES = ("norm_return", "norm_length")


@dataclass(frozen=True)
class Evaluation:
    """An evaluation in simulation that is made again and again.

    Attributes:
        mode: One of `EVAL_MODES`.
        pairs: The snippets with their clips.
        config: How it is made.
    """

    mode: str
    pairs: Pairs
    config: EvalConfig

    @property
    def score(self) -> str:
        """Name of the metric that says which policy is the best."""
        return f"{self.mode}_{SCORES[0]}"

    def scores(self, policy: DistilledPolicy) -> dict[str, float]:
        """Return the mean scores of a policy, by the names of the metrics."""
        result = evaluate(policy, self.pairs, self.config, description=f"Evaluating {self.mode}")
        return {f"{self.mode}_{name}": getattr(result, name) for name in SCORES}


def find_subjects(
    division: Division, config: DistillConfig, extra: str | None, mocap: Sequence[Path] | None
) -> dict[str, Pairs]:
    """Find what the evaluations of a training need: the clips of at most as many snippets as there are episodes.

    Args:
        division: The dataset.
        config: Of the training.
        extra: Further clips and snippets with commas between them, or a file of them.
        mocap: Files with the clips; None for those at hand.

    Raises:
        NotFoundError: A clip's reference motion is not at hand.
    """
    names = {
        "train": division.train.snippets,
        "val": division.val.snippets if division.val else (),
        "clips": sorted(parse_selection(extra).names or ()) if extra is not None else (),
    }
    wanted = {mode.rsplit("_", 1)[0] for mode in config.eval_modes}
    chosen = {kind: part for kind, part in names.items() if kind in wanted and part}
    return {kind: named_pairs(evenly_spread(part, config.n_eval_episodes), mocap) for kind, part in chosen.items()}


def evenly_spread(names: Sequence[str], count: int) -> list[str]:
    """Return at most `count` of the names, evenly spread."""
    if len(names) <= count:
        return list(names)
    return [names[number * len(names) // count] for number in range(count)]


def plan_evaluations(subjects: Subjects, config: DistillConfig, ref_steps: tuple[int, ...]) -> list[Evaluation]:
    """Return the evaluations that there is something for, in the order of the settings.

    Raises:
        InvalidInputError: A snippet is too short for them.
    """
    planned = []
    for mode in config.eval_modes if config.n_eval_episodes else ():
        if mode not in EVAL_MODES:
            continue
        kind, start = mode.rsplit("_", 1)
        settings = EvalConfig(
            n_eval_episodes=config.n_eval_episodes,
            always_init_at_clip_start=start == "start",
            act_noise=config.act_noise,
            min_steps=config.min_steps,
            seed=config.seed,
            threads=config.threads,
        )
        if subjects.get(kind):
            plan_evaluation(subjects[kind], settings, ref_steps)
            planned.append(Evaluation(mode, subjects[kind], settings))
    return planned


def validation_loss(policy: DistilledPolicy, batches: BatchLoader, config: DistillConfig) -> dict[str, float]:
    """Return the mean loss and squared error over the first batches of rollouts that are held out."""
    count = min(config.val_batches, len(batches))
    # Every gradient step begins from a seed of its own, so this one harms none.
    fix_draws(config.seed, policy.device)
    with torch.inference_mode():
        seen = [policy.loss(batches.batch(number))[1] for number in range(count)]
    return {f"val_{name}": float(np.mean([float(row[name]) for row in seen])) for name in ("loss", "mse")}
