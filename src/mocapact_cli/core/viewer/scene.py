"""The walker, its ghost, the floor and what the walker is told to do, in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.media.camera import DISTANCE, GHOST_DISTANCE, beside, follow, heading
from mocapact_cli.core.media.render import ARROW_COLOR, GHOST_COLOR, MARK_COLOR, PROMPT_COLOR, SPOT_HEIGHT
from mocapact_cli.core.viewer.shapes import walker_copies
from mocapact_cli.core.viewer.takes import FloatArray
from mocapact_cli.core.walker.kinematics import BodyPoser

if TYPE_CHECKING:
    from collections.abc import Sequence

    import viser

    from mocapact_cli.core.tasks.goal import Mark
    from mocapact_cli.core.viewer.shapes import Copies
    from mocapact_cli.core.viewer.takes import Take
    from mocapact_cli.core.walker.model import Walker

    Color = tuple[int, int, int]

OVER, BESIDE, HIDDEN = "on it", "beside", "hidden"
GHOST_PLACES = (OVER, BESIDE, HIDDEN)
"""Where the reference is drawn."""
_WORLD = "/world"
_WALKER_COLOR = (205, 128, 66)
_GHOST_COLOR = (52, 120, 220)
"""Stronger than in films, since the browser's light makes colours paler."""
_GRID_CELL, _GRID_SECTION = 0.5, 2.0
_CELL_COLOR, _SECTION_COLOR, _FLOOR_COLOR = (226, 229, 234), (203, 208, 216), (247, 248, 250)
_GOAL_ROOM = 3.0
"""Metres that one stands further back to see where the walker is to go."""
_FIELD_OF_VIEW = 0.75
"""Radians, from the top of the picture to its bottom."""


class Scene:
    """What is seen.

    Everything lies in one frame, which is moved so that the followed place stays in the middle: every viewer's camera
    is their own, and turning it never fights with the walker's motion.

    Args:
        server: Shows it.
        walker: The body.

    Attributes:
        ghost: Where the reference is drawn, of `GHOST_PLACES`.
        follows: Whether the walker stays in the middle.
    """

    def __init__(self, server: viser.ViserServer, walker: Walker) -> None:
        self._server, self._poser = server, BodyPoser(walker)
        self.ghost, self.follows = OVER, True
        self._side = np.zeros(3)
        self._world = server.scene.add_frame(_WORLD, show_axes=False)
        self._floor()
        copies = walker_copies(walker)
        self._walker = _Figure(server, "walker", copies, _WALKER_COLOR, None)
        self._ghost = _Figure(server, "reference", copies, _GHOST_COLOR, GHOST_COLOR[3])
        self._goal = _Goal(server)

    def begin(self, take: Take) -> None:
        """Make ready for another take."""
        self._side = beside(heading(np.array(take.poses)))

    def aim(self, take: Take) -> None:
        """Let those who open the page look at a take as films do."""
        (view,) = follow(np.zeros((1, 2)), heading(np.array(take.poses)), take.dt, np.zeros(1))
        azimuth, elevation = np.radians(view.azimuth), np.radians(view.elevation)
        towards = np.array(
            [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
        )
        camera = self._server.initial_camera
        camera.fov = _FIELD_OF_VIEW
        camera.look_at = view.lookat
        extra = _GOAL_ROOM if take.marks else GHOST_DISTANCE / 2
        camera.position = view.lookat - (DISTANCE + extra) * towards

    def show(
        self,
        pose: FloatArray,
        reference: FloatArray | None,
        ground: FloatArray,
        marks: Sequence[Mark] = (),
        *,
        prompting: bool = False,
    ) -> None:
        """Draw one moment.

        Args:
            pose: (63,) the walker's.
            reference: (63,) the reference's; None where it is not known.
            ground: (2,) the place that is followed, metres.
            marks: What the walker is told to do.
            prompting: Whether somebody else moves the walker.
        """
        with self._server.atomic():
            self._walker.place(self._poser(pose))
            self._walker.paint(_bytes(PROMPT_COLOR) if prompting else _WALKER_COLOR)
            seen = reference is not None and self.ghost != HIDDEN
            self._ghost.visible(seen)
            if seen and reference is not None:
                bodies = self._poser(reference)
                bodies[:, :3] += self._side if self.ghost == BESIDE else 0.0
                self._ghost.place(bodies)
            self._goal.show(marks)
            self._world.position = np.array([-ground[0], -ground[1], 0.0]) if self.follows else np.zeros(3)

    def _floor(self) -> None:
        scene = self._server.scene
        scene.add_grid(
            f"{_WORLD}/floor",
            infinite_grid=True,
            cell_size=_GRID_CELL,
            section_size=_GRID_SECTION,
            cell_color=_CELL_COLOR,
            section_color=_SECTION_COLOR,
            plane_color=_FLOOR_COLOR,
            plane_opacity=1.0,
            shadow_opacity=0.25,
            fade_distance=40.0,
        )


class _Figure:
    """A walker of one colour."""

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
                f"{_WORLD}/{name}/{number}",
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
        for part, handle in zip(self._copies, self._handles, strict=True):
            positions, quaternions = part.placed(bodies)
            handle.batched_positions = positions.astype(np.float32)
            handle.batched_wxyzs = quaternions.astype(np.float32)

    def paint(self, color: Color) -> None:
        if color != self._color:
            self._color = color
            for handle in self._handles:
                handle.batched_colors = np.array(color, dtype=np.uint8)

    def visible(self, wanted: bool) -> None:
        if wanted != self._visible:
            self._visible = wanted
            for handle in self._handles:
                handle.visible = wanted


class _Goal:
    """A spot on the floor and an arrow."""

    def __init__(self, server: viser.ViserServer) -> None:
        self._spot = server.scene.add_cylinder(
            f"{_WORLD}/spot", 1.0, SPOT_HEIGHT, color=_bytes(MARK_COLOR), opacity=MARK_COLOR[3], visible=False
        )
        self._arrow = server.scene.add_arrows(
            f"{_WORLD}/arrow", np.zeros((1, 2, 3)), _bytes(ARROW_COLOR), shaft_radius=0.02, head_radius=0.05,
            head_length=0.12, visible=False,
        )  # fmt: skip

    def show(self, marks: Sequence[Mark]) -> None:
        kinds = {mark.kind: mark for mark in marks}
        self._spot.visible, self._arrow.visible = "spot" in kinds, "arrow" in kinds
        if spot := kinds.get("spot"):
            self._spot.position = spot.position
            self._spot.radius = float(spot.extent[0])
        if arrow := kinds.get("arrow"):
            self._arrow.points = np.array([[arrow.position, arrow.position + arrow.extent]], dtype=np.float32)


def _bytes(color: Sequence[float]) -> Color:
    red, green, blue = (round(255 * part) for part in color[:3])
    return red, green, blue
