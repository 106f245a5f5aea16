"""What is read out of the simulation, as arrays with one row an environment."""

from __future__ import annotations

from collections.abc import Iterable

import mujoco
import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.walker.model import FloatArray, Walker

Copy = tuple[FloatArray, FloatArray]
"""Destination row and source view."""


class Features:
    """State and derived quantities of ``capacity`` simulations.

    Attributes:
        qpos: (M, 63); qvel: (M, 62); act: (M, 56).
        xpos: (M, 32, 3) positions of the root and the 31 tracked bodies, metres, world frame.
        xquat: (M, 32, 4) their orientations, scalar first.
        root_xmat: (M, 9) rotation matrix of the root.
        com: (M, 3) centre of mass of the whole walker.
        sensordata: (M, 37) in the model's order.
        torso_linvel: (M, 3) linear velocity of the root's subtree.
        warnings: (M, W) MuJoCo's warning counters.
        time: (M,) simulated seconds since the reset.
    """

    def __init__(self, walker: Walker, capacity: int) -> None:
        model, bodies = walker.model, len(walker.tracking_bodies) + 1
        self.qpos: FloatArray = np.zeros((capacity, model.nq))
        self.qvel: FloatArray = np.zeros((capacity, model.nv))
        self.act: FloatArray = np.zeros((capacity, model.na))
        self.xpos: FloatArray = np.zeros((capacity, bodies, 3))
        self.xquat: FloatArray = np.zeros((capacity, bodies, 4))
        self.root_xmat: FloatArray = np.zeros((capacity, 9))
        self.com: FloatArray = np.zeros((capacity, 3))
        self.sensordata: FloatArray = np.zeros((capacity, model.nsensordata))
        self.torso_linvel: FloatArray = np.zeros((capacity, 3))
        self.warnings: NDArray[np.int32] = np.zeros((capacity, int(mujoco.mjtWarning.mjNWARNING)), dtype=np.int32)
        self.time: FloatArray = np.zeros(capacity)
        self._walker = walker
        self._appendages = np.array([*walker.end_effectors, walker.head]) + 1

    def copies(self, data: mujoco.MjData, row: int) -> list[Copy]:
        """Pairs of views whose copying brings row ``row`` up to date with ``data`` (all but ``time``)."""
        first, frame = self._walker.root_body, self._walker.frame_body
        return [
            (self.qpos[row], data.qpos),
            (self.qvel[row], data.qvel),
            (self.act[row], data.act),
            (self.xpos[row], data.xpos[first:]),
            (self.xquat[row], data.xquat[first:]),
            (self.root_xmat[row], data.xmat[first]),
            (self.com[row], data.subtree_com[frame]),
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
        return np.matmul(offset, self.root_xmat[rows].reshape(-1, 3, 3)).reshape(len(offset), -1)


def run_copies(copies: Iterable[Copy]) -> None:
    """Carry out the copies of :meth:`Features.copies`."""
    copyto = np.copyto
    for destination, source in copies:
        copyto(destination, source)
