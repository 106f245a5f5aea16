"""What the import of one recording did to it, and how good the result is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.clips.snippets import cut
from mocapact_cli.core.clips.subsets import subsets_of

if TYPE_CHECKING:
    from mocapact_cli.core.clips.clip import Clip, FloatArray
    from mocapact_cli.core.clips.grounding import Grounded
    from mocapact_cli.core.clips.retarget import CleanMotion
    from mocapact_cli.core.walker import Walker

_WORST = 3


@dataclass(frozen=True)
class Quality:
    """How well a clip's motion fits the walker and its floor.

    Attributes:
        lowest_point: Metres; height of the deepest point of any pose above the floor, negative inside it.
        foot_skate: M/s; mean speed of the supporting foot.
        root_speed: M/s; mean speed of the root.
        max_root_speed: M/s.
        max_joint_velocity: Rad/s; the fastest joint's.
        fastest_joint: Its name.
    """

    lowest_point: float
    foot_skate: float
    root_speed: float
    max_root_speed: float
    max_joint_velocity: float
    fastest_joint: str


@dataclass(frozen=True)
class ImportReport:
    """The import of one recording.

    Attributes:
        clip_id: The clip that was made.
        source: The recording.
        skeleton: The actor's skeleton, or None.
        num_frames: Frames of the recording.
        lost_frames: Frames left out at its ends because tracking was lost there.
        num_steps: Poses of the clip.
        duration: Seconds.
        scale: Factor from the actor's root path to the walker's.
        scale_source: `skeleton`, `ground contact` or `usual`.
        height_offset: Metres by which the root was lifted, on average.
        path_correction: Metres by which keeping the standing feet in place moved the root sideways, at most.
        clamped_share: Share of all joint values that lay outside the walker's limits.
        repaired_share: Share of all joint values that were lost, flipped or spiked, and were replaced.
        repaired_root_share: The same of the root's frames.
        worst_clamped: Joints with the largest shares of clamped values.
        worst_repaired: Joints with the largest shares of repaired values.
        quality: Of the resulting motion.
        notes: What the user should know.
    """

    clip_id: str
    source: str
    skeleton: str | None
    num_frames: int
    lost_frames: int
    num_steps: int
    duration: float
    scale: float
    scale_source: str
    height_offset: float
    path_correction: float
    clamped_share: float
    repaired_share: float
    repaired_root_share: float
    worst_clamped: dict[str, float]
    worst_repaired: dict[str, float]
    quality: Quality
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the quality's beside the others."""
        data = asdict(self)
        quality, notes = data.pop("quality"), data.pop("notes")
        return {**data, **quality, "notes": list(notes)}


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


def shares(motion: CleanMotion, grounded: Grounded, joint_names: tuple[str, ...]) -> dict[str, Any]:
    """The part of a report that tells what was changed."""
    return {
        "lost_frames": motion.lost_frames,
        "scale": grounded.scale,
        "height_offset": grounded.height_offset,
        "path_correction": grounded.path_correction,
        "clamped_share": float(motion.clamped.mean()),
        "repaired_share": float(motion.repaired.mean()),
        "repaired_root_share": motion.repaired_root,
        "worst_clamped": _worst(motion.clamped, joint_names),
        "worst_repaired": _worst(motion.repaired, joint_names),
    }


def _worst(values: FloatArray, names: tuple[str, ...]) -> dict[str, float]:
    order = np.argsort(-values, kind="stable")[:_WORST]
    return {names[index]: float(values[index]) for index in order if values[index] > 0.0}
