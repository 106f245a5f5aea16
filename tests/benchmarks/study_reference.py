"""What return a reference motion allows: the reward of smoothed copies of it, as if a walker followed them perfectly.

    python tests/benchmarks/study_reference.py 07_01.h5 09_01.h5

Recorded joint angles jitter, and the reward compares joint velocities. No walker with mass follows jitter, so the
return of a copy without it (Butterworth low-pass of fourth order, forwards and backwards) says what to expect of a
perfect expert. The last column is the reward when only the joint velocities are smoothed.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfiltfilt

from mocapact_cli.core.clips.clip import Clip, FloatArray
from mocapact_cli.core.clips.mocap_h5 import MocapFile
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.sim.references import ReferenceBank
from mocapact_cli.core.sim.rewards import TrackingState, comic
from mocapact_cli.core.walker import get_walker

CUTOFFS = (1.5, 3.0, 6.0, 10.0)
"""Hertz; the clips have 33 poses a second."""
THRESHOLD = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mocap", nargs="+", type=Path, help="mocap HDF5 files")
    files = parser.parse_args().mocap
    print("| clip | low-pass | return | pose part | velocity part | only velocities smoothed |")
    print("| --- | --- | --- | --- | --- | --- |")
    for file in files:
        mocap = MocapFile(file)
        for clip_id in mocap.ids():
            print(*rows(mocap.get(clip_id)), sep="\n")


def rows(clip: Clip) -> list[str]:
    """A line of the table for each cut-off."""
    lines = []
    for cutoff in CUTOFFS:
        smooth = smoothed(clip, cutoff)
        parts = {name: float(value.mean()) for name, value in rewards(smooth, clip).items()}
        slow = rewards(replace(clip, joints_velocity=smooth.joints_velocity), clip)
        velocity = parts.pop("joints_velocity")
        total = sum(parts.values()) + velocity
        alone = sum(float(value.mean()) for value in slow.values())
        lines.append(
            f"| {clip.id} | {cutoff:g} Hz | {total:.3f} | {sum(parts.values()):.3f} | {velocity:.3f} | {alone:.3f} |"
        )
    return lines


def smoothed(clip: Clip, cutoff: float) -> Clip:
    """The clip without what is faster than ``cutoff`` hertz; velocities are those of the smoothed poses."""
    qpos = clip.qpos()
    sections = butter(4, cutoff, fs=1.0 / clip.dt, output="sos")
    signs = np.cumprod(np.sign((qpos[1:, 3:7] * qpos[:-1, 3:7]).sum(axis=1)))
    qpos[1:, 3:7] *= signs[:, None]
    qpos = sosfiltfilt(sections, qpos, axis=0)
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    return Clip.from_qpos(clip.id, qpos, dt=clip.dt)


def rewards(walker: Clip, reference: Clip) -> dict[str, FloatArray]:
    """Channels of the reward (T,) of a walker that is at every step where ``walker`` says."""
    steps = reference.num_steps
    features = Features(get_walker(), steps)
    features.motion[:] = np.concatenate([walker.qpos(), walker.qvel()], axis=1)
    features.com[:] = walker.center_of_mass
    features.xpos[:, 0], features.xpos[:, 1:] = walker.position, walker.body_positions
    features.xquat[:, 0], features.xquat[:, 1:] = walker.quaternion, walker.body_quaternions
    features.root_xmat[:] = rotation_matrices(walker.quaternion)
    bank = ReferenceBank([(reference, Snippet(reference.id, 0, reference.last_step))])
    return comic(TrackingState.compare(features, bank, np.arange(steps), THRESHOLD))


def rotation_matrices(quaternions: FloatArray) -> FloatArray:
    import mujoco

    matrices = np.empty((len(quaternions), 9))
    for matrix, quaternion in zip(matrices, quaternions, strict=True):
        mujoco.mju_quat2Mat(matrix, quaternion)
    return matrices


if __name__ == "__main__":
    main()
