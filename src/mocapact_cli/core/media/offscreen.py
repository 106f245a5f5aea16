"""A place to draw that no screen shows."""

from __future__ import annotations

from typing import Self

import mujoco
import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.media.gl import make_context


class OffScreen:
    """An OpenGL context with room for one picture; used as a context manager it is freed at the end.

    Args:
        model: What is drawn.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.

    Raises:
        MissingDependencyError: No OpenGL works here.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int) -> None:
        self._context = make_context(width, height)
        self._target = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._target)
        self._view = mujoco.MjrRect(0, 0, width, height)

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Free the OpenGL context."""
        self.close()

    def picture(self, scene: mujoco.MjvScene) -> NDArray[np.uint8]:
        """Return a (height, width, 3) RGB picture of a scene."""
        pixels = np.empty((self._view.height, self._view.width, 3), np.uint8)
        mujoco.mjr_render(self._view, scene, self._target)
        mujoco.mjr_readPixels(pixels, None, self._view, self._target)
        return np.ascontiguousarray(pixels[::-1])

    def close(self) -> None:
        """Free the OpenGL context; nothing is drawn any more."""
        self._target.free()
        self._context.free()
