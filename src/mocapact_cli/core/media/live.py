"""Pictures of an episode while it runs, one at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.media.camera import GHOST_DISTANCE, beside, follow, heading
from mocapact_cli.core.media.render import TrackRenderer
from mocapact_cli.core.media.video import Frame
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, Walker

FloatArray = NDArray[np.float64]


class LivePainter:
    """Draws the walker with its reference as a ghost beside it, from a camera that goes along.

    OpenGL is loaded with the first picture.

    Args:
        walker: The model to draw.
        width: Of the pictures, pixels.
        height: Of the pictures, pixels.
    """

    def __init__(self, walker: Walker, width: int = 480, height: int = 360) -> None:
        self._walker, self._size = walker, (width, height)
        self._renderer: TrackRenderer | None = None
        self._direction = 0.0

    def __call__(self, qpos: FloatArray, reference: FloatArray) -> Frame:
        """Return one RGB picture (height, width, 3).

        Args:
            qpos: (63,) pose of the walker.
            reference: (63,) pose of the reference at the same moment.

        Raises:
            MissingDependencyError: No OpenGL works here.
        """
        if self._renderer is None:
            self._renderer = TrackRenderer(self._walker, *self._size)
            # Looking along with every turn of the body would shake the picture.
            self._direction = heading(reference[None])
        ghost = np.array(reference)
        ghost[:3] += beside(self._direction)
        between = (qpos[None, :2] + ghost[None, :2]) / 2
        (camera,) = follow(between, self._direction, CONTROL_TIMESTEP, np.zeros(1), extra=GHOST_DISTANCE / 2)
        return self._renderer.render(qpos, camera, ghost_qpos=ghost)

    def close(self) -> None:
        """Free the OpenGL context; the next picture makes a new one."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
