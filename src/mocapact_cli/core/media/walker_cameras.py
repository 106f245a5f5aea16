"""What the walker sees: the images of the cameras that are part of its body, as dm_control's observables show them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.media.offscreen import OffScreen

if TYPE_CHECKING:
    from mocapact_cli.core.walker.model import Walker

SIZE = 64
"""Width and height of the images, pixels."""
_MAX_GEOMS = 1000
_HIDDEN_GROUPS = {"walker/egocentric_camera": ("walker/egocentric", 1), "walker/body_camera": ("walker/bodycam", 2)}
"""Observable -> the model's camera, and the group of geoms that it does not see."""
CAMERAS = tuple(_HIDDEN_GROUPS)


class WalkerCameras(OffScreen):
    """Draws the images of the walker's cameras in given poses.

    Use it as a context manager, on one thread: it holds an OpenGL context.

    Args:
        walker: The model to draw.

    Raises:
        MissingDependencyError: No OpenGL works here.
    """

    def __init__(self, walker: Walker) -> None:
        self._model = copy.deepcopy(walker.model)
        self._model.vis.global_.offwidth = self._model.vis.global_.offheight = SIZE
        super().__init__(self._model, SIZE, SIZE)
        self._data = mujoco.MjData(self._model)
        self._scene = mujoco.MjvScene(self._model, maxgeom=_MAX_GEOMS)
        self._perturb = mujoco.MjvPerturb()
        self._views = {
            name: (_fixed(self._model, camera), _hiding(group)) for name, (camera, group) in _HIDDEN_GROUPS.items()
        }

    def render(self, qpos: NDArray[np.float64]) -> dict[str, NDArray[np.uint8]]:
        """Return the (64, 64, 3) RGB image of every camera of `CAMERAS`.

        Args:
            qpos: (63,) pose of the walker.
        """
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        return {name: self._draw(*view) for name, view in self._views.items()}

    def _draw(self, camera: mujoco.MjvCamera, option: mujoco.MjvOption) -> NDArray[np.uint8]:
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, self._data, option, self._perturb, camera, everything, self._scene)
        return self.picture(self._scene)


def _fixed(model: mujoco.MjModel, name: str) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
    camera.fixedcamid = model.camera(name).id
    return camera


def _hiding(group: int) -> mujoco.MjvOption:
    option = mujoco.MjvOption()
    option.geomgroup[group] = 0
    # Neither does dm_control draw the rays of range finders.
    option.flags[mujoco.mjtVisFlag.mjVIS_RANGEFINDER] = False
    return option
