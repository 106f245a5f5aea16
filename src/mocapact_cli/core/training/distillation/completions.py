"""Evaluations along the way in which the policy goes on from recorded rollouts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mocapact_cli.core.datasets.reader import RolloutFile
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.completion import CompletionConfig, complete
from mocapact_cli.core.evaluation.prompts import Prompt, check_completer, recorded
from mocapact_cli.core.policies.distilled import DistilledPolicy
from mocapact_cli.core.training.distillation.config import COMPLETION_MODES, DistillConfig
from mocapact_cli.core.training.distillation.data import Division, Part
from mocapact_cli.core.training.distillation.evaluations import Pairs, Subjects

if TYPE_CHECKING:
    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet


@dataclass(frozen=True)
class CompletionEvaluation:
    """Going on from the same recorded prompts again and again.

    Attributes:
        mode: One of `COMPLETION_MODES`.
        prompts: One an episode.
        config: How it is made.
    """

    mode: str
    prompts: Sequence[Prompt]
    config: CompletionConfig

    @property
    def score(self) -> str:
        """Name of the metric that says which policy is the best."""
        return f"{self.mode}_seconds"

    def scores(self, policy: DistilledPolicy) -> dict[str, float]:
        """Return the mean seconds after the prompt and the share still up at the end, by the names of the metrics."""
        description = f"Evaluating {self.mode}"
        result = complete(policy, self.prompts, self.config, measure_motion=False, description=description)
        return {self.score: float(result.seconds.mean()), f"{self.mode}_survival": result.survival[-1][1]}


def plan_completions(
    subjects: Subjects, data: Division, config: DistillConfig, policy: DistilledPolicy
) -> list[CompletionEvaluation]:
    """Return the completions that there is something for, in the order of the settings.

    Prompts are as long as the policy's window, and taken from the beginnings of recorded episodes that are as long.

    Raises:
        UsageError: The policy sees what there is nothing of beyond a clip's end, or all episodes are shorter.
        InvalidInputError: A file is damaged.
    """
    planned = []
    for mode in config.eval_modes if config.n_eval_episodes else ():
        kind = mode.rsplit("_", 1)[0]
        part = {"train": data.train, "val": data.val}.get(kind)
        if mode not in COMPLETION_MODES or part is None or not subjects.get(kind):
            continue
        check_completer(policy, f"A policy of the model {policy.model}")
        prompts = _prompts(part, subjects[kind], policy.window, config.n_eval_episodes)
        settings = CompletionConfig(
            n_eval_episodes=len(prompts),
            prompt_length=policy.window,
            max_steps=config.completion_steps,
            act_noise=config.act_noise,
            seed=config.seed,
            threads=config.threads,
        )
        planned.append(CompletionEvaluation(mode, prompts, settings))
    return planned


def _prompts(part: Part, pairs: Pairs, length: int, count: int) -> list[Prompt]:
    """Return at most so many prompts, of all snippets in turn."""
    clips = {str(snippet): (clip, snippet) for clip, snippet in pairs}
    each = -(-count // len(clips))
    found = [_of_file(path, clips, length, each) for path in part.files]
    rows = itertools.zip_longest(*(prompts for of_file in found for prompts in of_file))
    prompts = [prompt for row in rows for prompt in row if prompt is not None][:count]
    if not prompts:
        raise UsageError(
            f"No recorded episode of {part} has the {length} steps of a prompt.",
            hint="Choose a smaller block_size, or go without evaluations: --n-eval-episodes 0.",
        )
    return prompts


def _of_file(path: object, clips: dict[str, tuple[Clip, Snippet]], length: int, each: int) -> list[list[Prompt]]:
    with RolloutFile(str(path)) as file:
        return [
            list(itertools.islice(_of_snippet(file, *clips[name], length), each))
            for name in file.snippets
            if name in clips
        ]


def _of_snippet(file: RolloutFile, clip: Clip, snippet: Snippet, length: int) -> Iterator[Prompt]:
    for episode in file[str(snippet)]:
        recording = recorded(episode) if episode.length >= length else None
        if recording is not None and snippet.start_step <= recording.start_step <= snippet.end_step - length:
            yield Prompt(clip, snippet, snippet, {"kind": "recording"}, recording=recording)
