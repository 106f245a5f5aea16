"""Rewards of dm_control's reference pose task, over a batch.

Formulas: `dm_control.locomotion.tasks.reference_pose.rewards`; `comic` is from Hasenclever et al., "CoMic:
Complementary Task Learning & Mimicry for Reusable Skills", ICML 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mocapact_cli.core.quaternions import bounded_quat_dist
from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.sim.references import ReferenceBank
from mocapact_cli.core.walker.model import FloatArray, IntArray


@dataclass(frozen=True)
class TrackingState:
    """The walker and its target in n environments.

    Attributes:
        features: The walkers; the first n rows count.
        bank: The references.
        target: (n,) rows of the bank to compare with.
        threshold: Termination error at which an episode fails.
        motion_error: (n, 125) walker minus reference qpos and qvel.
        com_error: (n, 3) walker minus reference centre of mass, metres.
        error: (n,) termination error.
    """

    features: Features
    bank: ReferenceBank
    target: IntArray
    threshold: float
    motion_error: FloatArray
    com_error: FloatArray
    error: FloatArray

    @classmethod
    def compare(cls, features: Features, bank: ReferenceBank, target: IntArray, threshold: float) -> TrackingState:
        """Compare the first `len(target)` walkers with their targets."""
        motion = features.motion[: len(target)] - bank.motion[target]
        points = features.points[: len(target)] - bank.points[target]
        error = termination_error(motion[:, 7:63], points[:, 6:])
        return cls(features, bank, target, threshold, motion, points[:, :3], error)


def termination_error(joints: FloatArray, bodies: FloatArray) -> FloatArray:
    """Return (n,) half the mean absolute error of joint angles plus half that of body positions.

    Args:
        joints: (n, 56) walker minus reference joint angles, radians.
        bodies: (n, 93) walker minus reference body positions, metres.
    """
    return np.asarray(np.abs(bodies).sum(axis=1) * (0.5 / bodies.shape[1]) + np.abs(joints).sum(axis=1) * (0.5 / 56))


Channels = dict[str, FloatArray]
"""Named parts of the reward, (n,) each, which sum to it."""

_WEIGHTS = {"appendages": 0.15, "body_quaternions": 0.65, "center_of_mass": 0.1, "joints_velocity": 1.0}


def termination_reward(state: TrackingState) -> Channels:
    """One minus the termination error as a share of its threshold."""
    return {"termination": 1.0 - state.error / state.threshold}


def multi_term_pose_reward(state: TrackingState) -> Channels:
    """Centre of mass, joint velocities, appendages and body orientations, each through an exponential kernel."""
    features, bank, target = state.features, state.bank, state.target
    rows = slice(len(target))
    appendages = features.appendages(rows) - bank.appendages[target]
    angles = bounded_quat_dist(features.body_quaternions[rows], bank.unit_quaternions[target])
    return {
        "appendages": _WEIGHTS["appendages"] * np.exp(-40.0 * _square_sum(appendages)),
        "body_quaternions": _WEIGHTS["body_quaternions"] * np.exp(-2.0 * _square_sum(angles)),
        "center_of_mass": _WEIGHTS["center_of_mass"] * np.exp(-10.0 * _square_sum(state.com_error)),
        "joints_velocity": _WEIGHTS["joints_velocity"] * np.exp(-0.1 * _square_sum(state.motion_error[:, 69:])),
    }


def comic(state: TrackingState) -> Channels:
    """The mean of `termination_reward` and `multi_term_pose_reward`."""
    parts = termination_reward(state) | multi_term_pose_reward(state)
    return {name: 0.5 * value for name, value in parts.items()}


REWARDS: dict[str, Callable[[TrackingState], Channels]] = {
    "comic": comic,
    "multi_term_pose_reward": multi_term_pose_reward,
    "termination_reward": termination_reward,
}
"""Reward types by dm_control's names."""

CHANNEL_LIMITS: dict[str, dict[str, float]] = {
    "comic": {name: 0.5 * weight for name, weight in {"termination": 1.0, **_WEIGHTS}.items()},
    "multi_term_pose_reward": _WEIGHTS,
    "termination_reward": {"termination": 1.0},
}
"""What each channel of a reward type is worth where the walker equals the reference."""


def _square_sum(values: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,ij->i", values, values))
