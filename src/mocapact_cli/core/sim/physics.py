"""Stepping and resetting simulations exactly as dm_control's composer environment does, without composer."""

from __future__ import annotations

import mujoco
import numpy as np

from mocapact_cli.core.sim.features import STATE, Features
from mocapact_cli.core.walker.model import SUBSTEPS, FloatArray, Walker


class PhysicsShard:
    """A group of simulations and their features.

    The feature arrays have two rows a simulation: the first half holds the states after stepping, the second half the
    states after the resets of the same step, so that the last observation of an episode and the first one of the next
    are computed together.

    Args:
        walker: The model and its tables.
        size: Number of simulations n.
        subtree_velocities: Also compute the velocity of the root's subtree (only two observables need it).
        falls: Also note whose body touches the floor with anything but its feet.
    """

    def __init__(self, walker: Walker, size: int, *, subtree_velocities: bool, falls: bool = False) -> None:
        # Warnings are counted below; MuJoCo would also write them to a file in the current folder.
        mujoco.set_mju_user_warning(_ignore)
        self.walker = walker
        self.size = size
        self.features = Features(walker, 2 * size)
        self.data = [mujoco.MjData(walker.model) for _ in range(size)]
        self._controls = [data.ctrl for data in self.data]
        self._inner_model = walker.inner_model
        self._subtree_velocities = subtree_velocities
        self._falls = falls
        self._states = [self.features.state_row(row) for row in range(size)]
        self._copies = [self.features.copies(data, row) for row, data in enumerate(self.data)]
        self._evaluated = [False] * size

    def step(self, env: int, action: FloatArray) -> None:
        """Advance one simulation by one control step and read its features.

        Composer evaluates the new state in full, with the control just applied, before it reads an observation; so
        sensors of forces and accelerations belong to the new state too. That evaluation is not lost: the actuators'
        force depends on their activation alone, so the next control changes nothing but the activation's derivative,
        and the next control step begins by integrating what is already known. A control step therefore costs no more
        than `SUBSTEPS` calls of `mj_step`, and the states are the same to the last bit.

        Args:
            env: Index below n.
            action: (56,) position targets in [-1, 1]; the model clamps them.
        """
        model, data = self.walker.model, self.data[env]
        np.copyto(self._controls[env], action)
        if self._evaluated[env]:
            mujoco.mj_fwdActuation(model, data)
            mujoco.mj_Euler(model, data)
        else:
            mujoco.mj_step2(model, data)
        mujoco.mj_step(self._inner_model, data, SUBSTEPS - 1)
        mujoco.mj_forward(model, data)
        self._evaluated[env] = True
        if self._subtree_velocities:
            mujoco.mj_subtreeVel(model, data)
        if self._falls:
            self.features.fallen[env] = self.walker.has_fallen(data)
        mujoco.mj_getState(model, data, self._states[env], STATE)
        for destination, source in self._copies[env]:
            np.copyto(destination, source)

    def push(self, env: int, velocity: FloatArray) -> None:
        """Give a whole body another velocity, as a shove would.

        Args:
            env: Index below n.
            velocity: (3,) what is added to the velocity of all its parts, m/s, world frame.
        """
        data = self.data[env]
        data.qvel[:3] += velocity
        mujoco.mj_forward(self.walker.model, data)

    def reset(self, env: int, row: int, qpos: FloatArray, qvel: FloatArray) -> None:
        """Start simulation `env` from a state and read its features into row `row`.

        As dm_control does, the first evaluation runs with the actuators off, since no control is known yet.

        Args:
            qpos: (63,).
            qvel: (62,).
        """
        model, data = self.walker.reset_model, self.data[env]
        mujoco.mj_resetData(model, data)
        np.copyto(data.qpos, qpos)
        np.copyto(data.qvel, qvel)
        mujoco.mj_forward(model, data)
        # The evaluation above lacks the actuators' forces, so the next step cannot build on it.
        self._evaluated[env] = False
        mujoco.mj_getState(model, data, self.features.state_row(row), STATE)
        for destination, source in self.features.copies(data, row):
            np.copyto(destination, source)


def _ignore(text: str) -> None:
    """Take note of nothing."""
