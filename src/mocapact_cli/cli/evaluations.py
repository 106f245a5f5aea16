"""What the commands that evaluate and film have in common."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import typer

from mocapact_cli.cli.output import out
from mocapact_cli.core.errors import MissingDependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


def check_evaluation(
    episodes: int | None, baselines: Sequence[str] | None, *, plot: Path | None, video: Path | None, save: Path | None
) -> None:
    """Refuse what would come to nothing, before anything long begins.

    Args:
        episodes: How many are asked for; None for as many as suit.
        baselines: Controllers to compare with.
        plot: A picture.
        video: A film.
        save: A file of numbers.

    Raises:
        UsageError: There is nothing to do, or a file could not be written.
    """
    check_work(episodes, video)
    if episodes == 0 and (baselines or plot is not None or save is not None):
        raise UsageError("--baseline, --plot and --save need episodes.", hint="Raise --n-eval-episodes.")
    from mocapact_cli.core.rollouts.controllers import check_baselines

    check_baselines(baselines or ())
    check_files(plot=plot, video=video, save=save)


def check_work(episodes: int | None, video: Path | None) -> None:
    """Refuse to evaluate no episodes and to film none either.

    Args:
        episodes: How many are asked for; None for as many as suit.
        video: A film.

    Raises:
        UsageError: There is nothing to do.
    """
    if episodes == 0 and video is None:
        raise UsageError("With --n-eval-episodes 0 there is nothing to do.", hint="Ask for episodes or for a --video.")


def check_files(*, plot: Path | None = None, video: Path | None = None, save: Path | None = None) -> None:
    """Refuse files that could not be written.

    Args:
        plot: A picture.
        video: A film.
        save: A file of numbers.

    Raises:
        UsageError: Its ending is unknown, or its folder cannot be written.
    """
    from mocapact_cli.core.media.figures import check_plot_path
    from mocapact_cli.core.media.video import film_format
    from mocapact_cli.core.paths import check_target

    for path in (plot, video, save):
        if path is not None:
            check_target(path)
    if plot is not None:
        check_plot_path(plot)
    if video is not None:
        film_format(video)


@contextlib.contextmanager
def shown_without_film(document: dict[str, Any], show: Callable[[], None]) -> Iterator[None]:
    """Show the document after the block; where OpenGL is missing in it, show the numbers all the same and exit 1."""
    try:
        yield
    except MissingDependencyError as error:
        document["video_error"] = f"{error.message} {error.hint}"
        show()
        out.warn(f"There is no film: {document['video_error']}")
        raise typer.Exit(1) from error
    show()
