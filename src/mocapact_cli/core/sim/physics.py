"""Stepping and resetting simulations exactly as dm_control's composer environment does, without composer."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from mocapact_cli.core.sim.features import Features, run_copies
from mocapact_cli.core.walker.model import SUBSTEPS, FloatArray, Walker


class PhysicsShard:
    """A group of simulations that one thread advances at a time.

    The feature arrays have two rows a simulation: the first half holds the states after stepping, the second half the
    states after the resets of the same step, so that the last observation of an episode and the first one of the next
    are computed together.

    Args:
        walker: the model and its tables.
        size: number of simulations n.
        subtree_velocities: also compute the velocity of the root's subtree (only two observables need it).
    """

    def __init__(self, walker: Walker, size: int, *, subtree_velocities: bool) -> None:
        self.walker = walker
        self.size = size
        self.features = Features(walker, 2 * size)
        self.data = [mujoco.MjData(walker.model) for _ in range(size)]
        self._subtree_velocities = subtree_velocities
        self._copies = [self.features.copies(data, row) for row, data in enumerate(self.data)]
        self._evaluated = [False] * size
        self._warmstart = _reset_warmstart(walker)

    def step(self, envs: Sequence[int], actions: FloatArray) -> None:
        """Advance the simulations ``envs`` by one control step and read their features.

        Composer evaluates the new state in full, with the control just applied, before it reads an observation; so
        sensors of forces and accelerations belong to the new state too. That evaluation is not lost: the actuators'
        force depends on their activation alone, so the next control changes nothing but the activation's derivative,
        and the next control step begins by integrating what is already known. A control step therefore costs no more
        than ``SUBSTEPS`` calls of ``mj_step``, and the states are the same to the last bit.

        Args:
            envs: indices below n.
            actions: (n, 56) position targets in [-1, 1]; the model clamps them.
        """
        model, features, skip = self.walker.model, self.features, mujoco.mjtStage.mjSTAGE_VEL
        for env in envs:
            data = self.data[env]
            data.ctrl[:] = actions[env]
            if self._evaluated[env]:
                mujoco.mj_fwdActuation(model, data)
                mujoco.mj_Euler(model, data)
            else:
                mujoco.mj_step2(model, data)
            mujoco.mj_step(model, data, SUBSTEPS - 1)
            mujoco.mj_step1(model, data)
            mujoco.mj_forwardSkip(model, data, skip, 0)
            mujoco.mj_checkAcc(model, data)
            self._evaluated[env] = True
            if self._subtree_velocities:
                mujoco.mj_subtreeVel(model, data)
            run_copies(self._copies[env])
            features.time[env] = data.time

    def reset(self, env: int, row: int, qpos: FloatArray, qvel: FloatArray) -> None:
        """Start simulation ``env`` from a state and read its features into row ``row``.

        dm_control resets to the model's default pose, evaluates it, sets the state and evaluates that, both with the
        actuators off. Of the first evaluation only the solver's warm start survives, which is a constant of the model.

        Args:
            qpos: (63,).
            qvel: (62,).
        """
        model, data = self.walker.reset_model, self.data[env]
        mujoco.mj_resetData(model, data)
        data.qacc_warmstart[:] = self._warmstart
        data.qpos[:], data.qvel[:] = qpos, qvel
        mujoco.mj_forward(model, data)
        # The evaluation above lacks the actuators' forces, so the next step cannot build on it.
        self._evaluated[env] = False
        run_copies(self.features.copies(data, row))
        self.features.time[row] = data.time


def _reset_warmstart(walker: Walker) -> FloatArray:
    data = mujoco.MjData(walker.reset_model)
    mujoco.mj_forward(walker.reset_model, data)
    return np.array(data.qacc_warmstart)
