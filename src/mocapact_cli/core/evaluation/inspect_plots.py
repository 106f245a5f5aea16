"""One picture for each kind of thing that `inspect` can draw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.clips.mocap_h5 import MocapFile
from mocapact_cli.core.datasets.reader import Rollouts, rollout_paths
from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.evaluation.dataset_report import dataset_view
from mocapact_cli.core.evaluation.expert_report import read_curves, report_experts
from mocapact_cli.core.evaluation.report import read_evaluations
from mocapact_cli.core.formatting import counted
from mocapact_cli.core.media.curves import Evaluations, plot_training
from mocapact_cli.core.media.dataset_plot import plot_dataset
from mocapact_cli.core.media.joints_plot import JointTracks
from mocapact_cli.core.media.motion_plot import MotionView, RootPath, plot_motion
from mocapact_cli.core.safe import h5
from mocapact_cli.core.walker.model import get_walker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.progress import Progress

    Draw = Callable[[Path, Mapping[str, Any], Path, Progress], Path]

DRAWN_CLIPS = 40
"""Most clips whose paths are drawn; they are spread evenly over all."""


def can_draw(kind: str) -> bool:
    """Whether there is a picture of this kind of thing."""
    return kind in _DRAW


def draw(path: Path, found: Mapping[str, Any], target: Path, *, progress: Progress) -> Path:
    """Draw what `inspect` found at `path` into `target`, atomically; its ending says the format.

    Args:
        path: The file or folder.
        found: Its facts; those of rollouts with `values`.
        target: The picture.
        progress: Told about long reading.

    Raises:
        UsageError: There is no picture of this kind of thing.
        InvalidInputError: It is damaged, or there is nothing to draw.
    """
    if not can_draw(found["kind"]):
        kind = found["kind"].replace("_", " ")
        known = ", ".join(sorted(name.replace("_", " ") for name in _DRAW))
        raise UsageError(f"There is no plot of a {kind}.", hint=f"--plot draws: {known}.")
    return _DRAW[found["kind"]](path, found, target, progress)


def mocap_files(path: Path) -> list[Path]:
    """Return a mocap file by itself, or those in a folder by name."""
    return [path] if path.is_file() else h5.files_in(path)


def spread_clips(path: Path, count: int) -> list[Clip]:
    """Read at most `count` clips of a mocap file, or of those in a folder, spread evenly over all.

    Raises:
        InvalidInputError: One of them is damaged.
    """
    named = [(file, clip_id) for file in map(MocapFile, mocap_files(path)) for clip_id in file.ids()]
    places = np.unique(np.linspace(0, len(named) - 1, min(count, len(named))).round().astype(int))
    return [named[place][0].get(named[place][1]) for place in places]


def _draw_rollouts(path: Path, found: Mapping[str, Any], target: Path, progress: Progress) -> Path:
    if not found["episodes"]:
        raise InvalidInputError(f"{path} holds no episodes to draw.")
    sizes = {"snippet": len(found["snippets"]), "episode": found["episodes"], "step": found["steps"]}
    counts = ", ".join(counted(size, noun) for noun, size in sizes.items())
    with Rollouts(rollout_paths(path)) as rollouts, h5.damage_named(path):
        view = dataset_view(rollouts, f"{path.resolve().name}: {counts}", found["values"], progress=progress)
    return plot_dataset(target, view)


def _draw_mocap(path: Path, found: Mapping[str, Any], target: Path, progress: Progress) -> Path:
    with progress.task("Reading clips", None, "clips"):
        clips = spread_clips(path, DRAWN_CLIPS)
    shown = (
        "" if len(clips) == found["num_clips"] else f" (paths of {len(clips)} of {counted(found['num_clips'], 'clip')})"
    )
    longest = max(clips, key=lambda clip: clip.num_steps)
    tracks = JointTracks(
        longest.id, get_walker().joint_names, longest.joints, np.full_like(longest.joints, np.nan), longest.dt
    )
    paths = [RootPath(clip.id, clip.position, clip.dt) for clip in clips]
    seconds = [clip["seconds"] for clip in found["clips"]]
    return plot_motion(target, MotionView(f"{path.resolve().name}{shown}", paths, seconds, tracks))


def _draw_history(path: Path, _: Mapping[str, Any], target: Path, __: Progress) -> Path:
    history = read_evaluations(path)
    means = (history.ep_lengths_norm.mean(axis=1), history.results_norm.mean(axis=1))
    kind = "start" if "start" in path.parent.name else "rsi"
    curve = Evaluations(history.timesteps.astype(np.float64), *means)
    return plot_training(target, {kind: curve}, title=path.resolve().parent.name)


def _draw_expert(path: Path, found: Mapping[str, Any], target: Path, _: Progress) -> Path:
    curves = read_curves(Path(found["root"]))
    if not curves:
        raise InvalidInputError(f"{path} holds no evaluations to draw.")
    return plot_training(target, curves, title=str(found["snippet"]))


def _draw_experts(path: Path, _: Mapping[str, Any], target: Path, progress: Progress) -> Path:
    return report_experts([path], progress=progress).plot(target)


_DRAW: Mapping[str, Draw] = {
    "rollouts": _draw_rollouts,
    "dataset": _draw_rollouts,
    "mocap": _draw_mocap,
    "mocap_folder": _draw_mocap,
    "evaluations": _draw_history,
    "expert": _draw_expert,
    "experts": _draw_experts,
}
