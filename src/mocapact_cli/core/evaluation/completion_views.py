"""What is seen of completions: a film, and survival beside that of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.media.plots import plot_lines
from mocapact_cli.core.media.walker_tiles import Tile, film_walkers
from mocapact_cli.core.progress import NullProgress

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.evaluation.completion import Completion
    from mocapact_cli.core.progress import Progress


def film_completion(completion: Completion, path: Path, *, progress: Progress | None = None) -> Path:
    """Film the episodes whose poses were kept: beside its reference if it is one, several in a grid.

    The walker has another colour during the prompt, and time counts from its end.

    Raises:
        UsageError: The file's ending is unknown.
        MissingDependencyError: No OpenGL works here.
    """
    several = len(completion.poses) > 1
    tiles = [_tile(completion, index, several=several) for index in completion.poses]
    return film_walkers(tiles, path, progress=progress or NullProgress())


def plot_survival(completion: Completion, path: Path, *, name: str, title: str = "") -> Path:
    """Draw the share of episodes that go on against seconds after the prompt, beside the baselines."""
    curves = {name: completion, **completion.baselines}
    series = {label: _steps(one.survival) for label, one in curves.items()}
    ylabel = "share of episodes going on"
    return plot_lines(path, series, title=title, xlabel="seconds after the prompt", ylabel=ylabel, share=True)


def _tile(completion: Completion, index: int, *, several: bool) -> Tile:
    end, (walker, reference) = completion.ends[index], completion.poses[index]
    snippet = completion.snippets[end.snippet_index]
    seconds = completion.seconds[index]
    return Tile(
        f"sample {index + 1}" if several else snippet,
        walker,
        f"fell at +{seconds:.2f} s" if end.early_termination else f"up for {seconds:.2f} s",
        None if several else reference,
        failed=end.early_termination,
        prompt_steps=completion.config.prompt_length,
        reference_steps=Snippet.parse(snippet).end_step - end.start_step,
    )


def _steps(survival: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """The corners of a curve that falls in steps."""
    times, shares = list[float](), list[float]()
    for time, share in survival:
        times += [time, time] if shares else [time]
        shares += [shares[-1], share] if shares else [share]
    return times, shares
