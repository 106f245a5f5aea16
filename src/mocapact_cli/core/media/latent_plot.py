"""Embeddings in two dimensions: what an encoder made of snippets, and where sampled ones went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.media.figures import check_plot_path, new_figure, save_figure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.floating]

NAMED_SNIPPETS = 12
"""Most snippets that the legend names."""
_SIZE_INCHES = (9.0, 7.0)


@dataclass(frozen=True)
class Plane:
    """The plane of the largest spread of some embeddings.

    Attributes:
        centre: (E,) mean.
        axes: (2, E) orthonormal directions.
        shares: (2,) of their variance along each.
    """

    centre: FloatArray
    axes: FloatArray
    shares: FloatArray

    @classmethod
    def of(cls, embeddings: FloatArray) -> Plane:
        """Find it for embeddings (N, E), E at least two, by principal component analysis."""
        centre = embeddings.mean(axis=0)
        _, lengths, directions = np.linalg.svd(embeddings - centre, full_matrices=True)
        variances = np.zeros(max(2, len(lengths)))
        variances[: len(lengths)] = lengths**2
        return cls(centre, directions[:2], variances[:2] / max(float(variances.sum()), 1e-12))

    def project(self, embeddings: FloatArray) -> FloatArray:
        """Return the coordinates (..., 2) of embeddings (..., E)."""
        return np.asarray((embeddings - self.centre) @ self.axes.T)


def plot_latent(
    path: Path | str,
    encoded: Mapping[str, FloatArray],
    sampled: Mapping[str, FloatArray],
    *,
    title: str,
    prior_scale: float | None = None,
) -> Path:
    """Draw encoded snippets and sampled embeddings in the plane of the encoded ones' largest spread; atomically.

    Args:
        path: A name that ends in `.png`, `.svg` or `.pdf`.
        encoded: Snippet -> (T, E) embeddings along it.
        sampled: Legend text -> (T, E) embeddings that walkers were given.
        title: Above the picture.
        prior_scale: Standard deviation of the prior, to draw where nearly all of it lies; None for no circle.

    Raises:
        UsageError: The file's ending is unknown.
    """
    check_plot_path(path)
    plane = Plane.of(np.concatenate([np.asarray(values, np.float64) for values in encoded.values()]))
    figure = new_figure(_SIZE_INCHES)
    axes = figure.add_subplot(title=title)
    for number, label in enumerate(sampled):
        _draw_sampled(axes, plane.project(sampled[label]), label, number / max(len(sampled) - 1, 1))
    for number, (name, values) in enumerate(encoded.items()):
        _draw_encoded(axes, plane.project(values), name, _colour(number, len(encoded)), named=number < NAMED_SNIPPETS)
    axes.scatter([], [], color="white", marker="o", s=60, edgecolors="black", label="first step")
    if prior_scale is not None:
        _draw_prior(axes, plane, prior_scale)
    names = [
        f"principal component {number} ({share:.0%} of the spread)" for number, share in enumerate(plane.shares, 1)
    ]
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return save_figure(figure, path, bbox_inches="tight", pad_inches=0.1)


def _draw_encoded(axes: Any, points: FloatArray, name: str, colour: Any, *, named: bool) -> None:
    label = {"label": name} if named else {}
    axes.plot(*points.T, "-", color=colour, linewidth=1.6, marker=".", markersize=4, zorder=3, **label)
    axes.scatter(*points[0], color=colour, marker="o", s=60, edgecolors="black", zorder=5)


def _draw_sampled(axes: Any, points: FloatArray, label: str, shade: float) -> None:
    grey = str(0.15 + 0.6 * shade)
    still = float(np.ptp(points, axis=0).max()) < 1e-6
    mark = {"marker": "D", "markersize": 9, "zorder": 4} if still else {"marker": "x", "markersize": 4, "zorder": 2}
    axes.plot(*points.T, "-", color=grey, linewidth=0.6, alpha=0.7, label=label, **mark)


def _draw_prior(axes: Any, plane: Plane, scale: float) -> None:
    from matplotlib.patches import Circle

    x, y = plane.project(np.zeros_like(plane.centre)).tolist()
    axes.add_patch(
        Circle((x, y), 2.0 * scale, fill=False, linestyle="--", color="grey", label="prior: two standard deviations")
    )


def _colour(number: int, count: int) -> Any:
    """Return a colour for each snippet: distinct ones where there are few, a scale where there are many."""
    import matplotlib

    return matplotlib.colormaps["tab10"](number) if count <= 10 else matplotlib.colormaps["turbo"](number / (count - 1))
