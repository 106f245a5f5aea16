"""What stands in the scene: figures of the walker, and marks of what it is told to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.media.render import ARROW_COLOR, MARK_COLOR, SPOT_HEIGHT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import viser

    from mocapact_cli.core.tasks.goal import Mark
    from mocapact_cli.core.viewer.shapes import Copies
    from mocapact_cli.core.viewer.takes import FloatArray

    Color = tuple[int, int, int]

WORLD = "/world"
"""The frame in which everything lies."""


class Figure:
    """A walker of one colour.

    Args:
        server: Shows it.
        name: Of it in the scene.
        copies: Its parts.
        color: Red, green and blue, 0 to 255.
        opacity: From 0 to 1; None for a solid one, which casts a shadow.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        name: str,
        copies: Sequence[Copies],
        color: Color,
        opacity: float | None,
    ) -> None:
        self._copies, self._color, self._visible = copies, color, True
        self._handles = [
            server.scene.add_batched_meshes_simple(
                f"{WORLD}/{name}/{number}",
                part.mesh.vertices.astype(np.float32),
                part.mesh.faces.astype(np.uint32),
                np.tile([1.0, 0.0, 0.0, 0.0], (len(part.body), 1)),
                np.zeros((len(part.body), 3)),
                batched_scales=part.scale,
                batched_colors=color,
                opacity=opacity,
                lod="off",
                cast_shadow=opacity is None,
                receive_shadow=False,
            )
            for number, part in enumerate(copies)
        ]

    def place(self, bodies: FloatArray) -> None:
        """Move it.

        Args:
            bodies: (32, 7) positions in metres and quaternions of the root and the tracked bodies.
        """
        for part, handle in zip(self._copies, self._handles, strict=True):
            positions, quaternions = part.placed(bodies)
            handle.batched_positions = positions.astype(np.float32)
            handle.batched_wxyzs = quaternions.astype(np.float32)

    def paint(self, color: Color) -> None:
        """Give it another colour."""
        if color != self._color:
            self._color = color
            for handle in self._handles:
                handle.batched_colors = np.array(color, dtype=np.uint8)

    def visible(self, wanted: bool) -> None:
        """Show or hide it."""
        if wanted != self._visible:
            self._visible = wanted
            for handle in self._handles:
                handle.visible = wanted


class GoalMarks:
    """What the walker is told to do: a spot on the floor and an arrow.

    Args:
        server: Shows them.
    """

    def __init__(self, server: viser.ViserServer) -> None:
        self._spot = server.scene.add_cylinder(
            f"{WORLD}/spot", 1.0, SPOT_HEIGHT, color=rgb(MARK_COLOR), opacity=MARK_COLOR[3], visible=False
        )
        self._arrow = server.scene.add_arrows(
            f"{WORLD}/arrow", np.zeros((1, 2, 3)), rgb(ARROW_COLOR), shaft_radius=0.02, head_radius=0.05,
            head_length=0.12, visible=False,
        )  # fmt: skip

    def show(self, marks: Sequence[Mark]) -> None:
        """Show those that there are, and hide the other."""
        kinds = {mark.kind: mark for mark in marks}
        self._spot.visible, self._arrow.visible = "spot" in kinds, "arrow" in kinds
        if spot := kinds.get("spot"):
            self._spot.position = spot.position
            self._spot.radius = float(spot.extent[0])
        if arrow := kinds.get("arrow"):
            self._arrow.points = np.array([[arrow.position, arrow.position + arrow.extent]], dtype=np.float32)


def rgb(color: Sequence[float]) -> Color:
    """Return the red, green and blue of a colour, 0 to 255 instead of 0 to 1."""
    red, green, blue = (round(255 * part) for part in color[:3])
    return red, green, blue
