"""How far a motion is from its reference: the measures of the motion tracking literature, over the poses of an episode.

Errors of positions are those of Ionescu et al., "Human3.6M", PAMI 2014 (MPJPE), with the alignment of Kanazawa et al.,
"End-to-end Recovery of Human Shape and Pose", CVPR 2018 (PA-MPJPE). Errors of velocities and accelerations follow Luo
et al., "Perpetual Humanoid Control", ICCV 2023, in metres and seconds instead of millimetres and frames. All are means
over the poses of one episode, and NaN where the episode is too short to tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.clips.feet import Soles, skate_speed, touching
from mocapact_cli.core.quaternions import bounded_quat_dist, normalized

if TYPE_CHECKING:
    from mocapact_cli.core.walker.model import Walker

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

END_EFFECTORS = ("rhand", "lhand", "rfoot", "lfoot")
"""Hands and feet, as in Peng et al., "DeepMimic", 2018; dm_control's own table names the forearms, which begin at the
elbow, in the hands' place."""


@dataclass(frozen=True)
class Motion:
    """T consecutive poses.

    Attributes:
        root: (T, 3) metres, world frame.
        joints: (T, 56) radians.
        joints_velocity: (T, 56) rad/s.
        body_positions: (T, 31, 3) metres, world frame.
        body_quaternions: (T, 31, 4) scalar first.
    """

    root: FloatArray
    joints: FloatArray
    joints_velocity: FloatArray
    body_positions: FloatArray
    body_quaternions: FloatArray

    @classmethod
    def of(cls, qpos: FloatArray, qvel: FloatArray, positions: FloatArray, quaternions: FloatArray) -> Motion:
        """Build it from generalized positions (T, 63) and velocities (T, 62) and the bodies' (T, 31, 3), (T, 31, 4)."""
        return cls(qpos[:, :3], qpos[:, 7:], qvel[:, 6:], positions, quaternions)


@dataclass(frozen=True)
class MotionScores:
    """The measures of one episode; names end with their units.

    Attributes:
        mpjpe_global_mm: Mean distance of the 31 tracked bodies from the reference's.
        mpjpe_root_relative_mm: The same with both roots moved together.
        mpjpe_procrustes_mm: The same after the best rotation, translation and scaling of each pose.
        velocity_error_m_s: Mean length of the difference of the bodies' velocities, by first differences.
        acceleration_error_m_s2: The same of their accelerations, by second differences.
        joint_velocity_error_rad_s: Mean absolute difference of the hinges' velocities.
        end_effector_position_mm: Mean distance of hands and feet from the reference's.
        end_effector_orientation_deg: Mean angle between their orientations.
        action_change: Mean |a_t - a_(t-1)| of the policy's actions in [-1, 1], before noise is added.
        joint_jerk_rad_s3: Mean absolute third difference of the hinge angles.
        reference_joint_jerk_rad_s3: The same of the reference at the same moments.
        contact_agreement: Share of (step, foot) pairs in which walker and reference both touch the floor or both
            do not.
        contact_f1: F1 score of the walker's contacts against the reference's.
        foot_skate_m_s: Mean horizontal speed of the supporting foot.
        reference_foot_skate_m_s: The same of the reference at the same moments.
    """

    mpjpe_global_mm: float
    mpjpe_root_relative_mm: float
    mpjpe_procrustes_mm: float
    velocity_error_m_s: float
    acceleration_error_m_s2: float
    joint_velocity_error_rad_s: float
    end_effector_position_mm: float
    end_effector_orientation_deg: float
    action_change: float
    joint_jerk_rad_s3: float
    reference_joint_jerk_rad_s3: float
    contact_agreement: float
    contact_f1: float
    foot_skate_m_s: float
    reference_foot_skate_m_s: float


class MotionScorer:
    """Scores motions of one walker.

    Args:
        walker: The body.
        dt: Seconds between poses.
    """

    def __init__(self, walker: Walker, dt: float) -> None:
        self._dt = dt
        self._soles = Soles(walker)
        self._ends = [walker.body_names.index(name) for name in END_EFFECTORS]

    def score(self, motion: Motion, reference: Motion, actions: FloatArray) -> MotionScores:
        """Compare T poses with the reference's at the same moments.

        Args:
            motion: The walker's poses after each of T steps.
            reference: The wanted ones.
            actions: (T, 56) what the policy chose in these steps.
        """
        dt, ends = self._dt, self._ends
        bodies, wanted = motion.body_positions, reference.body_positions
        error = bodies - wanted
        root_error = (motion.root - reference.root)[:, None]
        soles, wanted_soles = (
            self._soles.points(part.body_positions, part.body_quaternions) for part in (motion, reference)
        )
        contact, wanted_contact = touching(soles), touching(wanted_soles)
        angles = orientation_angles(motion.body_quaternions[:, ends], reference.body_quaternions[:, ends])
        return MotionScores(
            mpjpe_global_mm=1000.0 * mean_length(error),
            mpjpe_root_relative_mm=1000.0 * mean_length(error - root_error),
            mpjpe_procrustes_mm=1000.0 * mean_length(procrustes_aligned(bodies, wanted) - wanted),
            velocity_error_m_s=mean_length(np.diff(error, axis=0)) / dt,
            acceleration_error_m_s2=mean_length(np.diff(error, 2, axis=0)) / dt**2,
            joint_velocity_error_rad_s=_mean(np.abs(motion.joints_velocity - reference.joints_velocity)),
            end_effector_position_mm=1000.0 * mean_length(error[:, ends]),
            end_effector_orientation_deg=_mean(np.degrees(angles)),
            action_change=_mean(np.abs(np.diff(actions, axis=0))),
            joint_jerk_rad_s3=mean_jerk(motion.joints, dt),
            reference_joint_jerk_rad_s3=mean_jerk(reference.joints, dt),
            contact_agreement=_mean(contact == wanted_contact),
            contact_f1=f1_score(contact, wanted_contact),
            foot_skate_m_s=skate_speed(soles, dt) if contact.any() else math.nan,
            reference_foot_skate_m_s=skate_speed(wanted_soles, dt) if wanted_contact.any() else math.nan,
        )


def mean_length(vectors: FloatArray) -> float:
    """Mean Euclidean length of vectors (..., 3)."""
    return _mean(np.sqrt(np.einsum("...i,...i", vectors, vectors)))


def procrustes_aligned(poses: FloatArray, targets: FloatArray) -> FloatArray:
    """Each pose after the similarity transform (rotation, translation, one scale) that brings it nearest its target.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991. Mirroring
    is excluded.

    Args:
        poses: (T, B, 3) points.
        targets: (T, B, 3) the same points where they should be.
    """
    centre = targets.mean(axis=1, keepdims=True)
    moving, fixed = poses - poses.mean(axis=1, keepdims=True), targets - centre
    left, singular, right = np.linalg.svd(fixed.transpose(0, 2, 1) @ moving)
    flip = np.sign(np.linalg.det(left) * np.linalg.det(right))
    left[..., 2] *= flip[:, None]
    singular[:, 2] *= flip
    spread = np.einsum("tbi,tbi->t", moving, moving)
    scale = singular.sum(axis=1) / np.where(spread > 0.0, spread, 1.0)
    turned = moving @ (left @ right).transpose(0, 2, 1)
    return np.asarray(centre + scale[:, None, None] * turned)


def orientation_angles(quaternions: FloatArray, targets: FloatArray) -> FloatArray:
    """Angle (...) in [0, pi] of the rotation between orientations (..., 4), which need not be normalized."""
    return 2.0 * bounded_quat_dist(normalized(quaternions), normalized(targets))


def mean_jerk(angles: FloatArray, dt: float) -> float:
    """Mean absolute third difference of angles (T, J), divided by dt^3: rad/s^3."""
    return _mean(np.abs(np.diff(angles, 3, axis=0))) / dt**3


def f1_score(found: BoolArray, wanted: BoolArray) -> float:
    """Harmonic mean of precision and recall; NaN where nothing is found nor wanted."""
    total = int(found.sum()) + int(wanted.sum())
    return 2.0 * int((found & wanted).sum()) / total if total else math.nan


def _mean(values: FloatArray | BoolArray) -> float:
    return float(values.mean()) if values.size else math.nan
