"""The page of whatever `inspect` has found: its facts and tables, and pictures and motions where there are any."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.datasets.reader import Rollouts, rollout_paths
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.evaluation.dataset_report import camera_sheets, dataset_motions, snippet_scores
from mocapact_cli.core.evaluation.inspect_plots import can_draw, draw, spread_clips
from mocapact_cli.core.evaluation.inspect_tables import fact_notes, fact_pairs, fact_tables
from mocapact_cli.core.formatting import cell
from mocapact_cli.core.media.motion_data import Motion, packed_motion, walker_shapes
from mocapact_cli.core.media.report_page import Page, PageTable, Picture, write_page
from mocapact_cli.core.safe import h5
from mocapact_cli.core.walker.model import get_walker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.evaluation.inspect_tables import FactTable
    from mocapact_cli.core.progress import Progress

    Found = Mapping[str, Any]

PLAYED_CLIPS = 8
"""Most clips of a mocap file that a page plays, spread evenly over all."""
CLIP_FRAMES = 800
"""Most frames of a clip on a page; of longer ones every second, third ... pose is taken."""
LISTED_ROWS = 5_000
"""Most rows of a table on a page; the JSON has all."""
_SHEET_SCALE = 2


def write_fact_page(path: Path, found: Found, target: Path, *, progress: Progress, plot: Path | None = None) -> Path:
    """Write the page atomically.

    Args:
        path: The file or folder that was inspected.
        found: Its facts; those of rollouts with `values`.
        target: The page.
        progress: Told about long reading.
        plot: The picture of the same facts, where it has been drawn as png already.

    Raises:
        InvalidInputError: The file is damaged.
    """
    motions, sheets = _moving_parts(path, found)
    content = plot.read_bytes() if plot is not None else _plot(path, found, progress)
    plots = [Picture("Plots", content, "The picture that --plot draws.")] if content else []
    page = Page(
        title=path.resolve().name,
        subtitle=found["kind"].replace("_", " "),
        facts=[(name, cell(value)) for name, value in fact_pairs(found)],
        notes=fact_notes(found),
        motions=_packed(motions),
        legend="Orange: the recorded walker. Blue: its reference." if "episodes" in found else "",
        pictures=[*plots, *sheets],
        tables=[_page_table(table) for table in fact_tables(found)],
    )
    return write_page(target, page)


def _moving_parts(path: Path, found: Found) -> tuple[list[Motion], list[Picture]]:
    if found["kind"] in ("rollouts", "dataset"):
        with Rollouts(rollout_paths(path)) as rollouts, h5.damage_named(path):
            scores = [snippet_scores(rollouts[name]) for name in rollouts.snippets]
            sheets = [_sheet(title, image) for title, image in camera_sheets(rollouts, scores)]
            return dataset_motions(rollouts, scores), sheets
    if found["kind"] in ("mocap", "mocap_folder"):
        return [_clip_motion(clip) for clip in spread_clips(path, PLAYED_CLIPS)], []
    return [], []


def _clip_motion(clip: Clip) -> Motion:
    every = -(-clip.num_steps // CLIP_FRAMES)
    skipped = f"; every {every}th pose is shown" if every > 1 else ""
    note = f"{clip.num_steps:,} poses, {clip.duration:.2f} s{skipped}."
    return Motion(clip.id, note, clip.qpos()[::every], dt=clip.dt * every)


def _packed(motions: Sequence[Motion]) -> dict[str, Any] | None:
    if not motions:
        return None
    walker = get_walker()
    return {"shapes": walker_shapes(walker), "motions": [packed_motion(walker, motion) for motion in motions]}


def _plot(path: Path, found: Found, progress: Progress) -> bytes:
    """Return the picture that --plot draws; empty where there is none."""
    if not can_draw(found["kind"]):
        return b""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return draw(path, found, Path(folder) / "plot.png", progress=progress).read_bytes()
        except InvalidInputError:
            # The tables say what is there; what cannot be drawn is no reason to have no page.
            return b""


def _sheet(title: str, image: NDArray[np.uint8]) -> Picture:
    from PIL import Image

    picture = Image.fromarray(image)
    size = (picture.width * _SHEET_SCALE, picture.height * _SHEET_SCALE)
    content = io.BytesIO()
    picture.resize(size, Image.Resampling.NEAREST).save(content, format="png", optimize=True)
    return Picture("Camera images", content.getvalue(), f"{title}, from the first moment to the last.", tiles=True)


def _page_table(table: FactTable) -> PageTable:
    rows = [[cell(value) for value in row] for row in table.rows[:LISTED_ROWS]]
    note = f"The first {LISTED_ROWS:,} of {len(table.rows):,}." if len(table.rows) > LISTED_ROWS else ""
    return PageTable(table.title, table.columns, rows, frozenset(table.numeric), note)
