"""What the shell offers after Tab: clips and snippets at hand, subsets, presets, tasks, models and kinds.

Each function is an option's or argument's `autocompletion`. Names come from tables that cost nothing to read; nothing
heavy is imported, and whatever goes wrong, the shell is offered nothing and falls back to files.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mocapact_cli.core.config_docs import keys_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Completer = Callable[..., list["Offer"]]

Offer = str | tuple[str, str]
"""A word, alone or with what it stands for; Typer reads the annotations of completers."""

VARIABLE = "_MOCAPACT_COMPLETE"
"""Set by the shell where it asks for completions."""

_TRAINING = "mocapact_cli.core.training"
_RECORD_BYTES = 1 << 24
_RECORD_ABOVE = 3
"""Folders from a policy's file up to its run."""
_LINES = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")
"""Where bash, and where other shells put the line."""


def is_completing() -> bool:
    """Whether the shell asks for completions, so that nothing may be said."""
    return VARIABLE in os.environ


def words(*names: str) -> Completer:
    """Return the completer of a choice of words."""

    def complete(incomplete: str) -> list[Offer]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


def keys(module: str, *tables: str) -> Completer:
    """Return the completer for the keys of tables, or the items of tuples, in a module that is not imported."""

    def complete(incomplete: str) -> list[Offer]:
        names = [name for table in tables for name in keys_in(module, table)]
        return [name for name in names if name.startswith(incomplete)]

    return complete


def _quietly(function: Completer) -> Completer:
    """Offer nothing where something goes wrong."""

    @functools.wraps(function)
    def complete(ctx: typer.Context, incomplete: str) -> list[Offer]:
        try:
            return function(ctx, incomplete)
        except Exception:  # noqa: BLE001 - a traceback at the prompt would help nobody
            return []

    return complete


devices = words("auto", "cpu", "cuda", "cuda:0", "cuda:1")
ppo_presets = keys(f"{_TRAINING}.expert.config", "PRESETS")
recipes = keys(f"{_TRAINING}.distillation.config", "RECIPES")
models = keys("mocapact_cli.core.policies.zoo", "PRESETS")
tasks = words("go-to-target", "velocity-control")
warm_starts = words("pd", "none")
splits = words("train", "locomotion", "validation", "all")
baselines = keys("mocapact_cli.core.rollouts.controllers", "_MAKERS")
task_baselines = keys("mocapact_cli.core.evaluation.transfer", "_MAKERS")
export_targets = keys("mocapact_cli.core.interop.exporters.targets", "ROLLOUT_TARGETS", "POLICY_TARGETS")
sources = words("hf", "azure")


def kinds(incomplete: str) -> list[Offer]:
    """Offer the types of published data."""
    from mocapact_cli.core.remote.catalog import KINDS

    return [name for name in KINDS if name.startswith(incomplete)]


@_quietly
def clips(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer the clips at hand, those of `--mocap` files on the line included."""
    return [(name, f"{steps} poses") for name, steps in sorted(_at_hand(ctx).items()) if name.startswith(incomplete)]


@_quietly
def clips_and_snippets(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer the clips at hand, and the snippets of one whose name is complete."""
    return list(_with_snippets(_at_hand(ctx), incomplete))


@_quietly
def snippets_of_run(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer the snippets that the policy on the line was trained on, else clips and snippets at hand."""
    for word in _words():
        recorded = [name for name in _recorded_snippets(Path(word)) if name.startswith(incomplete)]
        if recorded:
            return [*recorded]
    return list(_with_snippets(_at_hand(ctx), incomplete))


@_quietly
def selections(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer subsets, and clips and snippets, at hand or published, also behind others with commas."""
    from mocapact_cli.core.clips.published import published_snippets

    head, comma, last = incomplete.rpartition(",")
    known = {clip: pieces[-1].end_step + 1 for clip, pieces in published_snippets().items()}
    offers = list(_with_snippets({**known, **_at_hand(ctx)}, last))
    if not comma:
        return [*subsets(incomplete), *offers]
    return [(f"{head},{name}", text) for name, text in offers]


def subsets(incomplete: str) -> list[Offer]:
    """Offer dm_control's subsets of the CMU clips."""
    from mocapact_cli.core.clips.subsets import SUBSETS, clip_ids

    return [(name, f"{len(clip_ids(name))} clips") for name in SUBSETS if name.startswith(incomplete)]


def _at_hand(ctx: typer.Context) -> dict[str, int]:
    from mocapact_cli.core.clips.names import clips_at_hand

    given: Any = ctx.params.get("mocap")
    return clips_at_hand([Path(path) for path in given or ()])


def _with_snippets(known: Mapping[str, int], incomplete: str) -> Iterator[tuple[str, str]]:
    names = sorted(name for name in known if name.startswith(incomplete))
    yield from ((name, f"{known[name]} poses") for name in names)
    # Snippets are many: only those of the one clip that is meant.
    meant = names if len(names) == 1 else [name for name in known if incomplete.startswith(f"{name}-")]
    for name in meant:
        yield from _snippets(name, known[name], incomplete)


def _snippets(clip_id: str, steps: int, incomplete: str) -> Iterable[tuple[str, str]]:
    from mocapact_cli.core.clips.snippets import cut

    pieces = cut(clip_id, steps - 1) if steps > 1 else []
    return [(str(piece), f"{piece.num_steps} poses") for piece in pieces if str(piece).startswith(incomplete)]


def _words() -> list[str]:
    """The words on the line behind the commands: arguments before an option without its value are not parsed."""
    line = next((os.environ[name] for name in _LINES if name in os.environ), "")
    return [word for word in line.split()[1:] if not word.startswith("-")]


def _recorded_snippets(path: Path) -> list[str]:
    """The snippets in the record of the run that a policy lies in; nothing where it lies in none."""
    if not path.exists():
        return []
    for folder in (path, *list(path.absolute().parents)[:_RECORD_ABOVE]):
        record = folder / "config.json"
        with contextlib.suppress(OSError, ValueError):
            if record.stat().st_size < _RECORD_BYTES:
                found = json.loads(record.read_text(encoding="utf-8"))
                return [str(name) for name in found.get("snippets", ())]
    return []
