"""A small ASF/AMC writer and synthetic recordings."""

from __future__ import annotations

import numpy as np

from mocapact_cli.core.clips.asf import CMU_SKELETON

CHANNELS = dict(CMU_SKELETON.channels)
UPRIGHT = {"root": [0.0, 16.5, 0.0, 0.0, 0.0, 0.0], "lfemur": [-11, 0, -20], "rfemur": [-11, 0, 20],
           "ltibia": [25], "rtibia": [25], "lfoot": [-12, 0], "rfoot": [-12, 0], "lhumerus": [-25, 0, 62],
           "rhumerus": [-25, 0, -62]}  # fmt: skip


def asf_text(lengths=None, *, unit=0.45, angle="deg", channels=CHANNELS) -> str:
    """An ASF skeleton of the CMU form."""
    lengths = {"lfemur": 7.0, "ltibia": 7.2, "rfemur": 7.0, "rtibia": 7.2} | (lengths or {})
    bones = [bone for bone in channels if bone != "root"]
    lines = [":version 1.10", ":name VICON", ":units", "  mass 1.0", f"  length {unit}", f"  angle {angle}", ":root"]
    lines += [f"   order {' '.join(channels['root']).upper()}", "   axis XYZ", ":bonedata"]
    for number, bone in enumerate(bones, start=1):
        lines += ["  begin", f"     id {number}", f"     name {bone}", "     direction 0 -1 0"]
        lines += [f"     length {lengths.get(bone, 1.0)}", "     axis 0 0 0 XYZ", f"    dof {' '.join(channels[bone])}"]
        lines += ["    limits (-160.0 20.0)", "           (-70.0 70.0)", "  end"]
    return "\n".join([*lines, ":hierarchy", "  begin", "    root lowerback", "  end", ""])


def amc_text(frames, *, unit=":DEGREES", first=1) -> str:
    """An AMC recording; a frame is a dictionary of bone -> values."""
    lines = ["#!OML:ASF skeleton.asf", ":FULLY-SPECIFIED", unit]
    for number, frame in enumerate(frames, start=first):
        lines.append(str(number))
        lines += [f"{bone} {' '.join(repr(float(value)) for value in values)}" for bone, values in frame.items()]
    return "\n".join([*lines, ""])


def pose(**bones):
    """One upright frame with some bones changed."""
    zero = {bone: [0.0] * len(dofs) for bone, dofs in CHANNELS.items()}
    return zero | UPRIGHT | bones


def swaying(count: int):
    """Frames of somebody standing and swaying."""
    times = np.arange(count) / 120.0
    return [
        pose(lowerback=[3 * np.sin(t), 0, 2 * np.cos(2 * t)], root=[0.0, 16.5, 0.1 * t, 0.0, 3 * np.sin(t), 0.0])
        for t in times
    ]
