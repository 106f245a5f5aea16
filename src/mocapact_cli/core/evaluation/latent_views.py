"""Pictures of what the low-level policy does: a film of the walkers, and the plane of their embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.latent import HELD, MOVING, PRIOR, ZERO
from mocapact_cli.core.media.latent_plot import plot_latent
from mocapact_cli.core.media.walker_tiles import Tile, film_walkers
from mocapact_cli.core.progress import NullProgress

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.evaluation.latent import LatentStudy, LatentWalker
    from mocapact_cli.core.progress import Progress

FILMED_STARTS = 4
"""Starts of a prior that are filmed; the numbers are of all of them."""


def film_study(study: LatentStudy, path: Path, *, progress: Progress | None = None) -> Path:
    """Film the walkers; of a prior those of the first starts, one column each, one row a kind of embedding.

    Raises:
        UsageError: The file's ending is unknown.
        MissingDependencyError: No OpenGL works here.
    """
    prior = study.settings["mode"] == "prior"
    columns = min(study.columns, FILMED_STARTS) if prior else study.columns
    shown = [walker for number, walker in enumerate(study.walkers) if not prior or number % study.columns < columns]
    return film_walkers([_tile(walker) for walker in shown], path, columns=columns, progress=progress or NullProgress())


def plot_study(study: LatentStudy, path: Path) -> Path:
    """Draw the encoded snippets and the first walker's embeddings of each kind in the plane of their largest spread.

    Raises:
        UsageError: The file's ending is unknown, or nothing was encoded.
    """
    if not study.encodings:
        raise UsageError("No snippet was encoded, so there is no plane to draw in.")
    between = study.settings["mode"] == "interpolate"
    first = {walker.kind: walker.motion.embeddings for walker in reversed(study.walkers)}
    kinds = [kind for kind in dict.fromkeys(walker.kind for walker in study.walkers) if _is_shown(kind, between)]
    title = (
        f"Between {study.settings['from']} and {study.settings['to']}"
        if between
        else f"Sampled embeddings, correlation {study.settings['correlation']:g}"
    )
    return plot_latent(
        path,
        {str(one.snippet): one.embeddings for one in study.encodings},
        {_legend(kind): first[kind] for kind in kinds},
        title=title,
        prior_scale=None if between else study.settings["scale"],
    )


def _is_shown(kind: str, between: bool) -> bool:
    """The outer shares are the encoded snippets themselves, and what is zero or held is a single point."""
    return kind not in ("0", "1", ZERO) and not (between and kind == HELD)


def _legend(kind: str) -> str:
    names = {PRIOR: "prior: one walker", HELD: "held: one walker", MOVING: "moving from the first to the second"}
    return names.get(kind, f"{kind} of the way")


def _tile(walker: LatentWalker) -> Tile:
    seconds = walker.measures.seconds
    ending = f"fell at {seconds:.1f} s" if walker.measures.fell else f"done at {seconds:.1f} s"
    return Tile(walker.kind, walker.motion.qpos, ending)
