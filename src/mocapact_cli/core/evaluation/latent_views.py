"""Pictures of what the low-level policy does: a film of the walkers, and the plane of their embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.latent import HELD, MOVING, PRIOR, ZERO
from mocapact_cli.core.media.latent_plot import plot_latent
from mocapact_cli.core.media.video import film_format
from mocapact_cli.core.media.walker_tiles import Tile, film_walkers
from mocapact_cli.core.progress import NullProgress

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.evaluation.latent import LatentStudy, LatentWalker
    from mocapact_cli.core.progress import Progress

FILMED_STARTS, STRIP_STARTS = 4, 2
"""Starts of a prior that a film and a strip show; the numbers are of all of them."""


def film_study(study: LatentStudy, path: Path, *, progress: Progress | None = None) -> Path:
    """Film the walkers; of a prior those of the first starts, one column each, one row a kind of embedding.

    Raises:
        UsageError: The file's ending is unknown.
        MissingDependencyError: No OpenGL works here.
    """
    walkers, columns = _filmed(study, strip=film_format(path) == "png")
    tiles = [_tile(walker) for walker in walkers]
    return film_walkers(tiles, path, columns=columns, progress=progress or NullProgress())


def _filmed(study: LatentStudy, *, strip: bool) -> tuple[list[LatentWalker], int]:
    if study.settings["mode"] != "prior":
        return list(study.walkers), study.columns
    starts = min(study.columns, STRIP_STARTS if strip else FILMED_STARTS)
    rows = [study.walkers[first : first + starts] for first in range(0, len(study.walkers), study.columns)]
    if strip:
        # A strip has one walker a row: those of one start stand below each other.
        rows = list(zip(*rows, strict=True))
    return [walker for row in rows for walker in row], starts


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
        f"Between {study.settings['from']} (A) and {study.settings['to']} (B)"
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
    names = {PRIOR: "prior: one walker", HELD: "held: one walker", MOVING: "moving from A to B"}
    return names.get(kind) or shown_kind(kind)


def shown_kind(kind: str) -> str:
    """Return the name of a walker's kind for people: a share of the second snippet, B, is 25 % B."""
    if kind in (PRIOR, HELD, ZERO, MOVING):
        return kind
    share = float(kind)
    return "A" if share == 0.0 else "B" if share == 1.0 else f"{100.0 * share:.0f} % B"


def _tile(walker: LatentWalker) -> Tile:
    seconds = walker.measures.seconds
    ending = f"fell at {seconds:.2f} s" if walker.measures.fell else f"done at {seconds:.2f} s"
    return Tile(shown_kind(walker.kind), walker.motion.qpos, ending)
