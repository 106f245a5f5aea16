"""Pictures of the walker, and of a ghost that shows the reference, drawn from poses without any physics."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.media.offscreen import OffScreen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.media.camera import Camera
    from mocapact_cli.core.media.video import Frame
    from mocapact_cli.core.tasks.goal import Mark
    from mocapact_cli.core.walker.model import Walker

FloatArray = NDArray[np.float64]

GHOST_COLOR = (0.35, 0.62, 0.95, 0.45)
MARK_COLOR = (0.95, 0.55, 0.2, 0.45)
ARROW_COLOR = (0.95, 0.55, 0.2, 1.0)
ARROW_WIDTH, SPOT_HEIGHT = 0.04, 0.01
"""Metres."""
PROMPT_COLOR = (0.67, 0.29, 0.27, 1.0)
"""Of a walker that somebody else moves at first, as in the original's films of completions."""
SHADOW_SIZE = 1024
ROUNDNESS = (16, 10)
"""Slices and stacks of a sphere: half of MuJoCo's, since software OpenGL draws most of these films."""
MAX_GEOMS = 400


class TrackRenderer(OffScreen):
    """Draws the walker, and if asked for a translucent ghost, in given poses.

    Use it as a context manager: it holds an OpenGL context.

    Args:
        walker: The model to draw; a copy is made, so that the physics stays as it is.
        width: Of the picture, pixels.
        height: Of the picture, pixels.

    Raises:
        MissingDependencyError: No OpenGL works here.
    """

    def __init__(self, walker: Walker, width: int, height: int) -> None:
        self._model = _scenic(walker, width, height)
        super().__init__(self._model, width, height)
        self._body, self._ghost = mujoco.MjData(self._model), mujoco.MjData(self._model)
        self._scene = mujoco.MjvScene(self._model, maxgeom=MAX_GEOMS)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._option, self._perturb = mujoco.MjvOption(), mujoco.MjvPerturb()
        self._material = int(self._model.geom_matid[walker.foot_geoms[0]])
        self._usual = self._model.mat_rgba[self._material].copy()

    def render(
        self,
        qpos: FloatArray,
        camera: Camera,
        *,
        ghost_qpos: FloatArray | None = None,
        marks: Sequence[Mark] = (),
        color: tuple[float, float, float, float] | None = None,
    ) -> Frame:
        """Return one RGB picture (height, width, 3).

        Args:
            qpos: (63,) pose of the walker.
            camera: Where to look from.
            ghost_qpos: (63,) pose of the ghost, where there is one.
            marks: What the walker is told to do.
            color: RGBA of the walker; its own by default.
        """
        self._model.mat_rgba[self._material] = self._usual if color is None else color
        self._pose(self._body, qpos)
        mujoco.mjv_updateScene(
            self._model, self._body, self._option, self._perturb, _mujoco_camera(camera), mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )  # fmt: skip
        if ghost_qpos is not None:
            self._add_ghost(ghost_qpos)
        for mark in marks:
            self._add_mark(mark)
        return self.picture(self._scene)

    def _pose(self, data: mujoco.MjData, qpos: FloatArray) -> None:
        data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, data)
        mujoco.mj_comPos(self._model, data)
        mujoco.mj_camlight(self._model, data)

    def _add_ghost(self, qpos: FloatArray) -> None:
        self._pose(self._ghost, qpos)
        first = self._scene.ngeom
        mujoco.mjv_addGeoms(
            self._model, self._ghost, self._option, self._perturb, mujoco.mjtCatBit.mjCAT_DYNAMIC, self._scene
        )
        for geom in self._scene.geoms[first : self._scene.ngeom]:
            geom.matid = -1
            geom.rgba[:] = GHOST_COLOR

    def _add_mark(self, mark: Mark) -> None:
        geom = self._scene.geoms[self._scene.ngeom]
        if mark.kind == "spot":
            size = np.array([mark.extent[0], SPOT_HEIGHT, 0.0])
            turn, color = np.eye(3).ravel(), np.array(MARK_COLOR, dtype=np.float32)
            mujoco.mjv_initGeom(geom, mujoco.mjtGeom.mjGEOM_CYLINDER, size, mark.position, turn, color)
        else:
            unset, color = np.zeros(3), np.array(ARROW_COLOR, dtype=np.float32)
            mujoco.mjv_initGeom(geom, mujoco.mjtGeom.mjGEOM_ARROW, unset, unset, np.eye(3).ravel(), color)
            end = mark.position + mark.extent
            mujoco.mjv_connector(geom, mujoco.mjtGeom.mjGEOM_ARROW, ARROW_WIDTH, mark.position, end)
        self._scene.ngeom += 1


def _scenic(walker: Walker, width: int, height: int) -> mujoco.MjModel:
    """Return a copy of the model for the eye: an endless floor, a buffer that fits, shadows that software can draw."""
    model = copy.deepcopy(walker.model)
    # A plane of size 0 is drawn without end, so no clip walks off it.
    model.geom_size[walker.floor_geom, :2] = 0.0
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    model.vis.quality.shadowsize = SHADOW_SIZE
    model.vis.quality.numslices, model.vis.quality.numstacks = ROUNDNESS
    return model


def _mujoco_camera(camera: Camera) -> mujoco.MjvCamera:
    result = mujoco.MjvCamera()
    result.type = mujoco.mjtCamera.mjCAMERA_FREE
    result.lookat[:] = camera.lookat
    result.distance, result.azimuth, result.elevation = camera.distance, camera.azimuth, camera.elevation
    return result
