"""What the picture and the page of a dataset are made of: scores, starts, chosen episodes, motions and images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.clips.snippets import snippet_named
from mocapact_cli.core.datasets.reader import Rollouts
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.evaluation.playback import can_show, joint_angles, poses, start_step
from mocapact_cli.core.formatting import counted
from mocapact_cli.core.media.dataset_plot import DatasetView, SnippetScores
from mocapact_cli.core.media.joints_plot import JointTracks
from mocapact_cli.core.media.motion_data import Motion
from mocapact_cli.core.safe import h5
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, get_walker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.datasets.reader import Episode, SnippetRollouts
    from mocapact_cli.core.progress import Progress

MOTIONS = 16
"""Most episodes that a page plays."""
MOTION_FRAMES = 3_000
"""Most frames of all of them together; a frame with its reference takes about 1.2 kB of the page."""
LONGEST = 5_000
"""Steps of an episode above which it is not played."""
SHEETS = 4
"""Most episodes whose camera images are shown."""
SHEET_COLUMNS = 10


@dataclass(frozen=True)
class Choice:
    """An episode that is worth seeing, and why."""

    snippet: str
    index: int
    why: str


def dataset_view(rollouts: Rollouts, title: str, values: Mapping[str, Any], *, progress: Progress) -> DatasetView:
    """Collect what the picture of a dataset shows.

    Args:
        rollouts: The open files.
        title: Above the picture.
        values: What `scan_values` has found.
        progress: Told about every snippet.
    """
    with progress.task("Collecting scores", len(rollouts.snippets), "snippets") as task:
        scores = []
        for name in rollouts.snippets:
            scores.append(snippet_scores(rollouts[name]))
            task.advance()
    observables = [(row["observable"], row["range"]) for row in values["observables"]]
    actions = values["actions"]["columns"] if "actions" in values else []
    best = next(iter(choose(scores)), None)
    return DatasetView(title, scores, observables, actions, joint_tracks(rollouts, best) if best else None)


def snippet_scores(rollouts: SnippetRollouts) -> SnippetScores:
    """Return the scores of a snippet's episodes and where they start.

    Raises:
        InvalidInputError: Their numbers are not those of as many episodes.
    """
    snippet = snippet_named(rollouts.name)
    first = snippet.start_step if snippet else 0
    starts = [start_step(episode) for episode in rollouts]
    relative = np.array([np.nan if start is None else start - first for start in starts], dtype=np.float64)
    metrics = (rollouts.norm_returns, rollouts.norm_lengths, rollouts.lengths)
    if any(values.shape != relative.shape for values in metrics):
        raise InvalidInputError(f"{rollouts.name} has metrics of another number of episodes than {len(relative)}.")
    return SnippetScores(rollouts.name, *metrics, rollouts.early_termination, relative)


def choose(scores: Sequence[SnippetScores]) -> list[Choice]:
    """Return episodes in the order in which they are worth seeing: the best, the worst and the median of all, then
    the worst and the best of every snippet.
    """
    named = [
        (float(value), part.name, index)
        for part in scores
        for index, value in enumerate(part.norm_return)
        if np.isfinite(value)
    ]
    ranked = sorted(named, key=lambda item: item[0])
    if not ranked:
        return []
    places = (("best", -1), ("worst", 0), ("median", len(ranked) // 2))
    chosen = [Choice(*ranked[place][1:], why=f"{why} of all") for why, place in places]
    for why, pick in (("worst", np.nanargmin), ("best", np.nanargmax)):
        chosen += [
            Choice(part.name, int(pick(part.norm_return)), f"{why} of its snippet")
            for part in scores
            if np.isfinite(part.norm_return).any()
        ]
    first: dict[tuple[str, int], Choice] = {}
    for choice in chosen:
        first.setdefault((choice.snippet, choice.index), choice)
    return list(first.values())


def joint_tracks(rollouts: Rollouts, choice: Choice) -> JointTracks | None:
    """Return the joints of an episode; None where they were not recorded."""
    episode, ref_steps = _episode(rollouts, choice)
    joints = joint_angles(episode, ref_steps) if episode.length <= LONGEST else None
    if joints is None or not np.isfinite(joints.walker).all():
        return None
    title = f"{choice.snippet}, episode {choice.index} ({choice.why})"
    return JointTracks(title, get_walker().actuator_names, joints.walker, joints.reference, CONTROL_TIMESTEP)


def dataset_motions(rollouts: Rollouts, scores: Sequence[SnippetScores]) -> list[Motion]:
    """Return the episodes that a page plays, within the limits on their number and frames."""
    motions: list[Motion] = []
    frames = 0
    by_name = {part.name: part for part in scores}
    for choice in choose(scores):
        motion = _motion(rollouts, choice, by_name[choice.snippet])
        if motion is None or frames + len(motion.walker) > MOTION_FRAMES:
            continue
        motions.append(motion)
        frames += len(motion.walker)
        if len(motions) == MOTIONS:
            break
    return motions


def _motion(rollouts: Rollouts, choice: Choice, scores: SnippetScores) -> Motion | None:
    episode, ref_steps = _episode(rollouts, choice)
    if not can_show(rollouts.file_of(choice.snippet).observable_names) or not 0 < episode.length <= LONGEST:
        return None
    found = poses(episode, ref_steps, get_walker().actuator_joint)
    if found is None:
        return None
    start = scores.starts[choice.index]
    began = f"begins at step {int(start)} of the snippet, " if np.isfinite(start) else ""
    end = "ended early" if episode.early_termination else "ran to the end"
    note = (
        f"{choice.why.capitalize()}: norm. return {scores.norm_return[choice.index]:.3f}, "
        f"norm. length {scores.norm_length[choice.index]:.3f}; {began}{end} after {counted(episode.length, 'step')}."
    )
    title = f"{choice.snippet}, episode {choice.index} ({choice.why})"
    return Motion(title, note, found[0], found[1], episode.rewards.ravel().tolist())


def _episode(rollouts: Rollouts, choice: Choice) -> tuple[Episode, tuple[int, ...]]:
    return rollouts[choice.snippet][choice.index], rollouts.file_of(choice.snippet).ref_steps


def camera_sheets(rollouts: Rollouts, scores: Sequence[SnippetScores]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield titles and pictures of camera images over time, one row a camera, of the first chosen episodes."""
    for choice in choose(scores)[:SHEETS]:
        episode, _ = _episode(rollouts, choice)
        rows = [row for name in episode.cameras if (row := _film_strip(episode, name)) is not None]
        if not rows or len({row.shape for row in rows}) > 1:
            return
        names = ", ".join(name.removeprefix("walker/").replace("_", " ") for name in episode.cameras)
        yield f"{choice.snippet}, episode {choice.index} ({choice.why}): {names}", np.concatenate(rows, axis=0)


def _film_strip(episode: Episode, camera: str) -> NDArray[np.uint8] | None:
    """Return evenly spaced images of an episode side by side, with thin gaps."""
    array = episode.camera_array(camera)
    if array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8 or not 0 < array.shape[0] <= LONGEST:
        return None
    if array.shape[1] * array.shape[2] * SHEET_COLUMNS > h5.SMALL_ARRAY:
        return None
    moments = np.unique(np.linspace(0, array.shape[0] - 1, SHEET_COLUMNS).round().astype(int))
    images = [np.pad(array[int(moment)], ((1, 1), (1, 1), (0, 0)), constant_values=255) for moment in moments]
    strip: NDArray[np.uint8] = np.concatenate(images, axis=1)
    return strip
