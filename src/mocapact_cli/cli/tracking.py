"""`--wandb` of every training."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli.output import out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mocapact_cli.core.training.tracking import Tracker

WandbOpt = Annotated[
    bool,
    typer.Option("--wandb", help="Follow the run with Weights & Biases; WANDB_MODE, WANDB_PROJECT and the like hold."),
]


@contextlib.contextmanager
def tracked(wandb: bool) -> Iterator[tuple[Tracker, Callable[[Mapping[str, Any]], None]]]:
    """Yield who follows the training in the block, and a function that takes its result.

    Raises:
        MissingDependencyError: The package is not installed.
    """
    if not wandb:
        from mocapact_cli.core.training.tracking import NullTracker

        yield NullTracker(), lambda summary: None  # noqa: ARG005
        return
    from mocapact_cli.core.training.wandb import WandbTracker

    tracker = WandbTracker(out.warn)
    try:
        yield tracker, tracker.finish
    finally:
        # Nothing is left to finish unless the training failed.
        tracker.finish()
