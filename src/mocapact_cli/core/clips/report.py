"""What the import of one recording did to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mocapact_cli.core.clips.clip import FloatArray
    from mocapact_cli.core.clips.grounding import Grounded
    from mocapact_cli.core.clips.quality import Quality
    from mocapact_cli.core.clips.retarget import CleanMotion

_WORST = 3


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
