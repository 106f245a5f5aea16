"""Rewards of dm_control's reference pose task, over a batch.

Formulas: ``dm_control.locomotion.tasks.reference_pose.rewards``; ``comic`` is from Hasenclever et al., "CoMic:
Complementary Task Learning & Mimicry for Reusable Skills", ICML 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.sim.quaternions import bounded_quat_dist
from mocapact_cli.core.sim.references import ReferenceBank
from mocapact_cli.core.walker.model import FloatArray, IntArray


@dataclass(frozen=True)
class TrackingState:
    """The walker and its target in n environments.

    Attributes:
        features: the walkers; the first n rows count.
        bank: the references.
        target: (n,) rows of the bank to compare with.
        error: (n,) termination error.
        threshold: termination error at which an episode fails.
    """

    features: Features
    bank: ReferenceBank
    target: IntArray
    error: FloatArray
    threshold: float


Channels = dict[str, FloatArray]
"""Named parts of the reward, (n,) each, which sum to it."""


def termination_error(features: Features, bank: ReferenceBank, target: IntArray) -> FloatArray:
    """(n,) half the mean absolute error of body positions (m) plus half that of joint angles (rad)."""
    rows = slice(len(target))
    joints = np.abs(bank.joints[target] - features.joints[rows]).mean(axis=1)
    bodies = np.abs(bank.body_positions[target] - features.body_positions[rows]).reshape(len(target), -1).mean(axis=1)
    return 0.5 * bodies + 0.5 * joints


def termination_reward(state: TrackingState) -> Channels:
    """One minus the termination error as a share of its threshold."""
    return {"termination": 1.0 - state.error / state.threshold}


def multi_term_pose_reward(state: TrackingState) -> Channels:
    """Centre of mass, joint velocities, appendages and body orientations, each through an exponential kernel."""
    features, bank, target = state.features, state.bank, state.target
    rows = slice(len(target))
    com = _squared(features.com[rows], bank.center_of_mass[target])
    velocity = _squared(features.qvel[rows, 6:], bank.joints_velocity[target])
    appendages = _squared(features.appendages(rows), bank.appendages[target])
    angles = bounded_quat_dist(features.body_quaternions[rows], bank.body_quaternions[target])
    return {
        "appendages": 0.15 * np.exp(-40.0 * appendages),
        "body_quaternions": 0.65 * np.exp(-2.0 * np.sum(angles * angles, axis=1)),
        "center_of_mass": 0.1 * np.exp(-10.0 * com),
        "joints_velocity": 1.0 * np.exp(-0.1 * velocity),
    }


def comic(state: TrackingState) -> Channels:
    """The mean of :func:`termination_reward` and :func:`multi_term_pose_reward`."""
    parts = termination_reward(state) | multi_term_pose_reward(state)
    return {name: 0.5 * value for name, value in parts.items()}


REWARDS: dict[str, Callable[[TrackingState], Channels]] = {
    "comic": comic,
    "multi_term_pose_reward": multi_term_pose_reward,
    "termination_reward": termination_reward,
}
"""Reward types by dm_control's names."""


def _squared(left: FloatArray, right: FloatArray) -> FloatArray:
    difference = (left - right).reshape(len(left), -1)
    return np.einsum("ij,ij->i", difference, difference)
