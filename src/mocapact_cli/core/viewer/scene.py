"""The picture in the browser: the walker, its ghost, the floor and what the walker is told to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.media.camera import GHOST_DISTANCE, beside, follow, heading
from mocapact_cli.core.media.render import GHOST_COLOR, PROMPT_COLOR
from mocapact_cli.core.viewer.figures import WORLD, Figure, GoalMarks, rgb
from mocapact_cli.core.viewer.shapes import walker_copies
from mocapact_cli.core.viewer.takes import FloatArray
from mocapact_cli.core.walker.kinematics import BodyPoser

if TYPE_CHECKING:
    from collections.abc import Sequence

    import viser

    from mocapact_cli.core.tasks.goal import Mark
    from mocapact_cli.core.viewer.takes import Take
    from mocapact_cli.core.walker.model import Walker

OVER, BESIDE, HIDDEN = "on it", "beside", "hidden"
GHOST_PLACES = (OVER, BESIDE, HIDDEN)
"""Where the reference is drawn."""
_WALKER_COLOR = (205, 128, 66)
_GHOST_COLOR = (52, 120, 220)
"""Stronger than in films, since the browser's light makes colours paler."""
_PROMPT_COLOR = rgb(PROMPT_COLOR)
"""Of the walker while somebody else moves it."""
_GRID_CELL, _GRID_SECTION = 0.5, 2.0
"""Metres between the floor's thin lines, and between its thick ones."""
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
        self._ghost_offset = np.zeros(3)
        self._world = server.scene.add_frame(WORLD, show_axes=False)
        self._add_floor()
        copies = walker_copies(walker)
        self._walker = Figure(server, "walker", copies, _WALKER_COLOR, None)
        self._ghost = Figure(server, "reference", copies, _GHOST_COLOR, GHOST_COLOR[3])
        self._goal = GoalMarks(server)

    def begin(self, take: Take) -> None:
        """Make ready for another take."""
        self._ghost_offset = beside(heading(np.array(take.poses)))

    def aim(self, take: Take) -> None:
        """Let those who open the page look at a take as films do."""
        extra = _GOAL_ROOM if take.marks else GHOST_DISTANCE / 2
        (view,) = follow(np.zeros((1, 2)), heading(np.array(take.poses)), take.dt, np.zeros(1), extra=extra)
        azimuth, elevation = np.radians(view.azimuth), np.radians(view.elevation)
        towards = np.array(
            [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
        )
        camera = self._server.initial_camera
        camera.fov = _FIELD_OF_VIEW
        camera.look_at = view.lookat
        camera.position = view.lookat - view.distance * towards

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
            self._walker.paint(_PROMPT_COLOR if prompting else _WALKER_COLOR)
            seen = reference is not None and self.ghost != HIDDEN
            self._ghost.visible(seen)
            if seen and reference is not None:
                bodies = self._poser(reference)
                bodies[:, :3] += self._ghost_offset if self.ghost == BESIDE else 0.0
                self._ghost.place(bodies)
            self._goal.show(marks)
            self._world.position = np.array([-ground[0], -ground[1], 0.0]) if self.follows else np.zeros(3)

    def _add_floor(self) -> None:
        scene = self._server.scene
        scene.add_grid(
            f"{WORLD}/floor",
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
