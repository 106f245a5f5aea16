"""What `inspect` does beyond the first screen: reading all values, a picture, a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.guarded import ReportedProgress
from mocapact_cli.core.media.figures import check_plot_path
from mocapact_cli.core.media.report_page import check_page_path
from mocapact_cli.core.paths import check_target
from mocapact_cli.core.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mocapact_cli.core.progress import Progress

Facts = dict[str, Any]
ROLLOUT_KINDS = ("rollouts", "dataset")
MOCAP_KINDS = ("mocap", "mocap_folder")
DRAWING_TIMEOUT_S = 180.0
"""Seconds that a guarded process may draw without a word."""


def check_targets(path: Path, plot: Path | None, html: Path | None) -> None:
    """Refuse what could not be written before anything long is read.

    Raises:
        UsageError: A name has the wrong ending, is a folder or is the very file that is looked at.
    """
    if plot is not None:
        check_plot_path(plot)
    if html is not None:
        check_page_path(html)
    for target in (plot, html):
        if target is not None:
            _check_target(path, target)


def _check_target(path: Path, target: Path) -> None:
    check_target(target)
    if target.exists() and path.exists() and target.samefile(path):
        raise UsageError(f"{target} is what is being inspected; it would be lost.", hint="Give another name.")


def inspect_whole(
    path: str,
    *,
    tree: bool = False,
    check: bool = False,
    values: bool = False,
    plot: str | None = None,
    html: str | None = None,
) -> Facts:
    """Inspect and `extend` in one go, with plain values: made to be called in a guarded process."""
    from mocapact_cli.core.evaluation.inspection import inspect_path

    found = inspect_path(path, tree=tree, check=check)
    picture, page = (None if name is None else Path(name) for name in (plot, html))
    return found | extend(Path(path), found, values=values, plot=picture, html=page, progress=ReportedProgress())


def extend(
    path: Path,
    found: Mapping[str, Any],
    *,
    values: bool = False,
    plot: Path | None = None,
    html: Path | None = None,
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> Facts:
    """Read all values where they are asked for or drawn, and write the picture and the page.

    Args:
        path: The file or folder that was inspected.
        found: Its facts.
        values: Ask for the values of rollouts.
        plot: The picture to write.
        html: The page to write.
        progress: Told about long reading.

    Returns:
        The facts to add: `values`, `plot`, `html`.

    Raises:
        UsageError: There are no values or no picture of this kind of thing.
        InvalidInputError: It is damaged.
    """
    from mocapact_cli.core.evaluation import inspect_page, inspect_plots

    if plot is not None and not inspect_plots.can_draw(found["kind"]):
        inspect_plots.draw(path, found, plot, progress=progress)
    added: Facts = {}
    if found["kind"] in ROLLOUT_KINDS or (found["kind"] in MOCAP_KINDS and (values or html is not None)):
        added["values"] = _values(path, found["kind"], progress)
    elif values:
        kind = found["kind"].replace("_", " ")
        raise UsageError(f"--values reads rollouts and motion capture; {path} is of the kind {kind}.")
    everything = {**found, **added}
    if plot is not None:
        added["plot"] = str(inspect_plots.draw(path, everything, plot, progress=progress))
    if html is not None:
        drawn = plot if plot is not None and plot.suffix.lower() == ".png" else None
        page = inspect_page.write_fact_page(path, everything, html, progress=progress, plot=drawn)
        added["html"] = str(page)
    return added


def _values(path: Path, kind: str, progress: Progress) -> Facts:
    if kind in MOCAP_KINDS:
        from mocapact_cli.core.evaluation.clip_scan import scan_clips
        from mocapact_cli.core.evaluation.inspect_plots import mocap_files

        return scan_clips(mocap_files(path), progress=progress)
    from mocapact_cli.core.datasets.reader import rollout_paths
    from mocapact_cli.core.evaluation.value_scan import scan_values

    return scan_values(rollout_paths(path), progress=progress)
