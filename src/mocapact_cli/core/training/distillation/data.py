"""Which rollouts a policy learns from and which it is held against: by split, by name, by file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocapact_cli.core.clips.snippets import Snippet, clip_of
from mocapact_cli.core.clips.subsets import clip_ids, split_ids
from mocapact_cli.core.datasets.expert_dataset import ExpertDataset
from mocapact_cli.core.datasets.reader import RolloutFile, rollout_paths
from mocapact_cli.core.datasets.selection import parse_selection
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError, did_you_mean
from mocapact_cli.core.formatting import counted
from mocapact_cli.core.policies.distilled import DistilledPolicy
from mocapact_cli.core.progress import Progress
from mocapact_cli.core.training.distillation.config import DistillConfig

_CLIPS: Mapping[str, Callable[[], tuple[str, ...]]] = {
    "train": lambda: split_ids("train"),
    "validation": lambda: split_ids("validation"),
    "locomotion": lambda: clip_ids("locomotion_small"),
    "all": lambda: (),
}
SPLITS = tuple(_CLIPS)
"""What may be learned from: MoCapAct's training, validation or locomotion clips, or everything."""
_ALIASES = {"val": "validation"}


@dataclass(frozen=True)
class Part:
    """Some snippets of rollout files.

    Attributes:
        files: Those that hold any.
        snippets: Their names, file by file.
        whole: Whether the files hold no others.
    """

    files: tuple[Path, ...]
    snippets: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        clips = len(set(map(clip_of, self.snippets)))
        return f"{counted(len(self.snippets), 'snippet')} of {counted(clips, 'clip')}"

    def record(self) -> dict[str, Any]:
        """What finds the part again."""
        files = [str(file.absolute()) for file in self.files]
        return {"files": files, "snippets": list(self.snippets), "whole": self.whole}


@dataclass(frozen=True)
class Division:
    """A dataset as a training uses it.

    Attributes:
        train: What is learned from.
        val: What is only evaluated on, if anything.
    """

    train: Part
    val: Part | None = None

    def __str__(self) -> str:
        held = f", validates with {self.val}" if self.val else ""
        return f"Learns from {self.train}{held}."

    def record(self) -> dict[str, Any]:
        """What `recorded_division` reads."""
        return {"dataset": self.train.record(), "val_dataset": self.val.record() if self.val else None}


def divide(
    sources: Sequence[Path],
    *,
    split: str | None = None,
    clips: str | None = None,
    hold_out: str | None = None,
    val: Sequence[Path] = (),
) -> Division:
    """Divide rollouts into what is learned from and what is held out; only their headers are read.

    Under the split `train`, the validation clips of the same sources are held out, unless something else is.

    Args:
        sources: Rollout files or folders of them.
        split: One of `SPLITS`, or `auto`: `train` where there is something of it and to validate with, else all.
        clips: Clips, snippets, a subset or a list file, see `parse_selection`; what is not named is left aside.
        hold_out: The same, of what is not learned from but validated with.
        val: Rollout files or folders to validate with.

    Raises:
        UsageError: There is no such split, or `hold_out` and `val` are both given.
        NotFoundError: A file does not exist, or nothing is left to learn from or to validate with.
        InvalidInputError: A file is damaged.
    """
    if hold_out is not None and val:
        raise UsageError("Clips are held out by --hold-out or by --val.", hint="Give one of them.")
    held = _Held(sources)
    names = held.chosen(clips)
    if hold_out is not None:
        out = held.chosen(hold_out)
        return Division(held.part(_of_split(names - out, split), "to learn from"), held.part(out, "to validate with"))
    if val:
        other = _Held(val)
        return Division(
            held.part(_of_split(names, split), f"of the split {split}"), other.part(other.names, "to validate with")
        )
    if split == "auto":
        split = "train" if all(_of_split(names, name) for name in ("train", "validation")) else "all"
    train = held.part(_of_split(names, split), f"of the split {split}")
    if split != "train":
        return Division(train)
    return Division(train, held.part(_of_split(names, "validation"), "of the split validation, to validate with"))


def recorded_division(record: Mapping[str, Any]) -> Division:
    """Return the division that a run's record holds.

    Raises:
        InvalidInputError: It holds none.
    """
    try:
        parts = [_recorded_part(record[name]) for name in ("dataset", "val_dataset")]
    except (KeyError, TypeError) as error:
        raise InvalidInputError(
            "The run does not say what it learns from.", hint="Give the dataset that it began with."
        ) from error
    assert parts[0] is not None
    return Division(parts[0], parts[1])


def open_part(
    part: Part,
    policy: DistilledPolicy,
    config: DistillConfig,
    metrics: Path | None,
    progress: Progress,
    *,
    upsampling: bool,
) -> ExpertDataset:
    """Open the samples that a policy learns from.

    Args:
        part: The snippets.
        policy: Says what it sees and how long its windows are.
        config: Of the training.
        metrics: `dataset_metrics.npz`; None for the one beside the files.
        progress: Told while it is laid flat.
        upsampling: Whether samples of short snippets are repeated.

    Raises:
        NotFoundError: An observable is missing.
        InvalidInputError: A file is damaged, holds values that are not finite, or has other reference steps.
        UsageError: No episode is as long as a window.
    """
    dataset = ExpertDataset(
        part.files,
        policy.observables,
        metrics,
        clip_ids=None if part.whole else part.snippets,
        min_seq_steps=policy.window,
        max_seq_steps=policy.window,
        return_mean_act=config.return_mean_act,
        clip_len_upsampling=upsampling,
        n_start_rollouts=config.n_start_rollouts,
        n_rsi_rollouts=config.n_rsi_rollouts,
        skip_last_steps=config.skip_last_steps,
        progress=progress,
        **config.weights(),
    )
    looks_ahead = any(name.startswith("walker/reference_") for name in policy.observables)
    if looks_ahead and tuple(dataset.ref_steps) != policy.ref_steps:
        steps = ", ".join(map(str, dataset.ref_steps))
        raise InvalidInputError(
            f"The dataset's references look {steps} steps ahead, the policy's {', '.join(map(str, policy.ref_steps))}.",
            hint="Set ref_steps of the policy in a configuration file, or record with other --ref-steps.",
        )
    if not len(dataset):
        raise UsageError(f"No episode of {part} has {policy.window} steps.", hint="Choose another model.")
    return dataset


class _Held:
    """The snippets that rollout files hold."""

    def __init__(self, sources: Sequence[Path]) -> None:
        self._files: dict[Path, tuple[str, ...]] = {}
        for path in dict.fromkeys(file for source in sources for file in rollout_paths(source)):
            with RolloutFile(path) as file:
                self._files[path] = file.snippets
        self.names = {name for held in self._files.values() for name in held}

    def chosen(self, text: str | None) -> set[str]:
        """Names of the snippets that a text chooses."""
        selection, snippets = parse_selection(text), [Snippet.parse(name) for name in sorted(self.names)]
        selection.check_found(snippets)
        return {str(snippet) for snippet in snippets if snippet in selection}

    def part(self, names: set[str], what: str) -> Part:
        """The files that hold some of the named snippets."""
        files = {path: sorted(names.intersection(held)) for path, held in self._files.items()}
        files = {path: held for path, held in files.items() if held}
        if not files:
            raise NotFoundError(
                f"The dataset holds nothing {what}.",
                hint=f"It has {self._examples()}. Leave out --split for all of it, or choose with --hold-out or --val.",
            )
        whole = all(len(held) == len(self._files[path]) for path, held in files.items())
        return Part(tuple(files), tuple(name for held in files.values() for name in held), whole)

    def _examples(self) -> str:
        clips = sorted(set(map(clip_of, self.names)))
        return f"{', '.join(clips[:4])}{' ...' if len(clips) > 4 else ''}" if clips else "no snippets"


def _of_split(names: set[str], split: str | None) -> set[str]:
    name = _ALIASES.get(split or "all", split or "all")
    if name not in _CLIPS:
        hint = did_you_mean(name, [*SPLITS, *_ALIASES]) or f"Choose from {', '.join(SPLITS)}."
        raise UsageError(f"There is no split {name!r}.", hint=hint)
    if name == "all":
        return names
    listed = set(_CLIPS[name]())
    return {snippet for snippet in names if clip_of(snippet) in listed}


def _recorded_part(record: Mapping[str, Any] | None) -> Part | None:
    if record is None:
        return None
    return Part(tuple(map(Path, record["files"])), tuple(record["snippets"]), bool(record["whole"]))
