"""What is read out of the simulation, as arrays with one row an environment."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.walker.model import FloatArray, Walker

STATE = int(
    mujoco.mjtState.mjSTATE_TIME
    | mujoco.mjtState.mjSTATE_QPOS
    | mujoco.mjtState.mjSTATE_QVEL
    | mujoco.mjtState.mjSTATE_ACT
)
"""The parts of MuJoCo's state that are read, in the order in which it packs them."""

Copy = tuple[FloatArray, FloatArray]
"""Destination row and source view."""


class Features:
    """State and derived quantities of M simulations.

    All of it lies in one matrix whose columns the attributes name, so that what is compared together is subtracted in
    one operation.

    Attributes:
        flat: (M, W) the matrix.
        time: (M,) simulated seconds since the reset.
        qpos: (M, 63).
        qvel: (M, 62).
        act: (M, 56).
        com: (M, 3) centre of mass of the whole walker.
        xpos: (M, 32, 3) positions of the root and the 31 tracked bodies, metres, world frame.
        xquat: (M, 32, 4) their orientations, scalar first.
        root_xmat: (M, 9) rotation matrix of the root.
        sensordata: (M, 37) in the model's order.
        torso_linvel: (M, 3) linear velocity of the root's subtree.
        warnings: (M, 7) MuJoCo's warning counters.
        fallen: (M,) whether more than the feet touches the floor; kept up to date only where a task asks for it.
        motion: (M, 125) qpos and qvel side by side.
        points: (M, 99) com and xpos side by side.
    """

    def __init__(self, walker: Walker, capacity: int) -> None:
        model, bodies = walker.model, len(walker.tracking_bodies) + 1
        sizes = {
            "time": 1, "qpos": model.nq, "qvel": model.nv, "act": model.na, "com": 3, "xpos": 3 * bodies,
            "xquat": 4 * bodies, "root_xmat": 9, "sensordata": model.nsensordata, "torso_linvel": 3,
        }  # fmt: skip
        ends = np.cumsum(list(sizes.values())).tolist()
        self._columns = {name: slice(end - sizes[name], end) for name, end in zip(sizes, ends, strict=True)}
        self.flat: FloatArray = np.zeros((capacity, ends[-1]))
        self.warnings: NDArray[np.int32] = np.zeros((capacity, int(mujoco.mjtWarning.mjNWARNING)), dtype=np.int32)
        self.fallen: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self.time = self.flat[:, 0]
        self.qpos, self.qvel, self.act, self.com = (self._view(name) for name in ("qpos", "qvel", "act", "com"))
        self.root_xmat, self.sensordata = self._view("root_xmat"), self._view("sensordata")
        self.torso_linvel = self._view("torso_linvel")
        self.xpos = self._view("xpos").reshape(capacity, bodies, 3)
        self.xquat = self._view("xquat").reshape(capacity, bodies, 4)
        self.motion = self.flat[:, self._columns["qpos"].start : self._columns["qvel"].stop]
        self.points = self.flat[:, self._columns["com"].start : self._columns["xpos"].stop]
        self._walker = walker
        self._appendages = np.array([*walker.end_effectors, walker.head]) + 1

    def state_row(self, row: int) -> FloatArray:
        """(182,) view into which `mj_getState` with `STATE` writes one simulation's state."""
        return self.flat[row, : self._columns["act"].stop]

    def copies(self, data: mujoco.MjData, row: int) -> list[Copy]:
        """Pairs of views whose copying brings all that is no state in row `row` up to date with `data`."""
        first, frame = self._walker.root_body, self._walker.frame_body
        return [
            (self.com[row], data.subtree_com[frame]),
            (self.xpos[row], data.xpos[first:]),
            (self.xquat[row], data.xquat[first:]),
            (self.root_xmat[row], data.xmat[first]),
            (self.sensordata[row], data.sensordata),
            (self.torso_linvel[row], data.subtree_linvel[first]),
            (self.warnings[row], data.warning.number),
        ]

    @property
    def position(self) -> FloatArray:
        """(M, 3) position of the free joint."""
        return self.qpos[:, :3]

    @property
    def quaternion(self) -> FloatArray:
        """(M, 4) orientation of the free joint."""
        return self.qpos[:, 3:7]

    @property
    def joints(self) -> FloatArray:
        """(M, 56) joint angles in mocap order."""
        return self.qpos[:, 7:]

    @property
    def body_positions(self) -> FloatArray:
        """(M, 31, 3) positions of the tracked bodies."""
        return self.xpos[:, 1:]

    @property
    def body_quaternions(self) -> FloatArray:
        """(M, 31, 4) orientations of the tracked bodies."""
        return self.xquat[:, 1:]

    def appendages(self, rows: slice) -> FloatArray:
        """(n, 15) right and left radius, right and left foot and head relative to the root, in its frame."""
        offset = self.xpos[rows, self._appendages] - self.xpos[rows, :1]
        local: FloatArray = np.matmul(offset, self.root_xmat[rows].reshape(-1, 3, 3))
        return local.reshape(len(offset), -1)

    def _view(self, name: str) -> FloatArray:
        return self.flat[:, self._columns[name]]
