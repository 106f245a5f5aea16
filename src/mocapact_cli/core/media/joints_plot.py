"""Joint angles over time, the joints that move most, as a part of other pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.media.figures import short_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

_WALKER_COLOUR, _REFERENCE_COLOUR = "tab:orange", "tab:blue"


@dataclass(frozen=True)
class JointTracks:
    """Joint angles of one episode of T + 1 moments, radians.

    Attributes:
        title: Which episode.
        names: (J,) the joints.
        walker: (T + 1, J) of the walker.
        reference: (T + 1, J) of its reference; NaN where it is not known.
        dt: Seconds between moments.
    """

    title: str
    names: Sequence[str]
    walker: FloatArray
    reference: FloatArray
    dt: float


def draw_joints(figure: Any, joints: JointTracks, *, rows: int, columns: int) -> None:
    """Fill a figure with the joints that move most, one a panel, against their reference where it is known."""
    figure.suptitle(f"Joints (rad) over time (s): {short_label(joints.title, 60)}", fontsize=11, parse_math=False)
    panels = figure.subplots(rows, columns, sharex=True)
    times = joints.dt * np.arange(len(joints.walker))
    moved = np.nanmax(joints.walker, axis=0) - np.nanmin(joints.walker, axis=0) if len(times) else np.zeros(0)
    chosen = np.argsort(-np.nan_to_num(moved), kind="stable")
    tracked = bool(np.isfinite(joints.reference).any())
    for axes, joint in zip(panels.flat, chosen, strict=False):
        if tracked:
            reference = joints.reference[:, joint]
            axes.plot(times, reference, "--", color=_REFERENCE_COLOUR, label="reference", linewidth=1.6)
        axes.plot(times, joints.walker[:, joint], color=_WALKER_COLOUR, label="walker", linewidth=1.6)
        axes.set_title(joints.names[joint], fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    if tracked:
        panels.flat[0].legend(fontsize="x-small", loc="best", framealpha=0.7)
