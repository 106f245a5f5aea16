"""What `inspect` does beyond the first screen: reading all values, a picture, a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.media.report_page import check_page_path
from mocapact_cli.core.media.tracking_plot import check_plot_path
from mocapact_cli.core.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mocapact_cli.core.progress import Progress

Facts = dict[str, Any]
ROLLOUT_KINDS = ("rollouts", "dataset")


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
        if target is not None and target.is_dir():
            raise UsageError(f"{target} is a folder.", hint="Give the name of a file.")
        if target is not None and target.exists() and path.exists() and target.samefile(path):
            raise UsageError(f"{target} is what is being inspected; it would be lost.", hint="Give another name.")


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
        plot: The picture to write. html: The page to write.
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
    if found["kind"] in ROLLOUT_KINDS:
        added["values"] = _values(path, progress)
    elif values:
        raise UsageError(f"--values reads rollouts; {path} is a {found['kind'].replace('_', ' ')}.")
    everything = {**found, **added}
    if plot is not None:
        added["plot"] = str(inspect_plots.draw(path, everything, plot, progress=progress))
    if html is not None:
        drawn = plot if plot is not None and plot.suffix.lower() == ".png" else None
        page = inspect_page.write_fact_page(path, everything, html, progress=progress, plot=drawn)
        added["html"] = str(page)
    return added


def _values(path: Path, progress: Progress) -> Facts:
    from mocapact_cli.core.datasets.reader import rollout_paths
    from mocapact_cli.core.evaluation.value_scan import scan_values

    return scan_values(rollout_paths(path), progress=progress)
