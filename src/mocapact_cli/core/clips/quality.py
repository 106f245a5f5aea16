"""How good a clip's motion is, measured on the walker."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.clips.snippets import cut
from mocapact_cli.core.clips.subsets import subsets_of

if TYPE_CHECKING:
    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.walker import Walker


@dataclass(frozen=True)
class Quality:
    """How well a clip's motion fits the walker and its floor.

    Attributes:
        lowest_point: Height of the deepest point of any pose above the floor, metres; negative inside it.
        foot_skate: Mean speed of the supporting foot, m/s.
        root_speed: Mean speed of the root, m/s.
        max_root_speed: Its highest speed, m/s.
        max_joint_velocity: Highest speed of any joint, rad/s.
        fastest_joint: Name of the joint that reaches it.
    """

    lowest_point: float
    foot_skate: float
    root_speed: float
    max_root_speed: float
    max_joint_velocity: float
    fastest_joint: str


def quality_of(clip: Clip, walker: Walker) -> Quality:
    """Measure a clip."""
    from mocapact_cli.core.clips.feet import skate_speed, sole_points
    from mocapact_cli.core.walker import pose_features

    qpos = clip.qpos()
    speed = np.linalg.norm(clip.velocity, axis=1)
    fastest = np.abs(clip.joints_velocity).max(axis=0)
    return Quality(
        lowest_point=float(pose_features(walker, qpos).lowest_point.min()),
        foot_skate=skate_speed(sole_points(walker, qpos), clip.dt),
        root_speed=float(speed.mean()),
        max_root_speed=float(speed.max()),
        max_joint_velocity=float(fastest.max()),
        fastest_joint=walker.joint_names[int(fastest.argmax())],
    )


def summarize(clip: Clip) -> dict[str, Any]:
    """A clip's snippets, subsets, path and quality as plain values."""
    from mocapact_cli.core.walker import get_walker

    way = np.linalg.norm(np.diff(clip.position[:, :2], axis=0), axis=1)
    return {
        "snippets": [str(snippet) for snippet in cut(clip.id, clip.last_step)],
        "subsets": list(subsets_of(clip.id)),
        "distance": float(way.sum()),
        **asdict(quality_of(clip, get_walker())),
    }
