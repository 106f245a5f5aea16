"""`mocapact inspect`: say what a file or folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.output import facts, out, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

app = Commands()


@app.command(
    "inspect",
    examples=[
        "mocapact inspect dataset/",
        "mocapact inspect dataset/CMU_016_22.hdf5 --tree",
        "mocapact inspect dataset/ --check",
        "mocapact inspect dataset/ --values --plot dataset.png --html dataset.html",
        "mocapact inspect experts/CMU_016_22-0-82 --json",
        "mocapact inspect multi_clip_policy.ckpt",
    ],
)
def inspect(  # noqa: PLR0917 - the options of a command
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="What to look at.")],
    tree: Annotated[bool, typer.Option("--tree", help="List every array with its shape and type, or file.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read everything and compare it with its layout, checksums and neighbours.")
    ] = False,
    values: Annotated[
        bool, typer.Option("--values", help="Read all values of rollouts or clips: ranges, and what is not finite.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="PNG", help="Draw scores, ranges and motion into one picture.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one page with tables, plots and playback in 3D."),
    ] = None,
) -> None:
    """Say what a file or folder holds: rollouts, motion capture, experts, runs, checkpoints, metrics, tarballs."""
    from mocapact_cli.core.guarded import TIMEOUT_S, run_guarded

    arguments: dict[str, Any] = {"path": str(path), "tree": tree, "check": check}
    function, timeout_s = "mocapact_cli.core.evaluation.inspection:inspect_path", TIMEOUT_S
    if values or plot is not None or html is not None:
        from mocapact_cli.core.evaluation.inspect_views import DRAWING_TIMEOUT_S, check_targets

        check_targets(path, plot, html)
        targets = {name: str(target) for name, target in (("plot", plot), ("html", html)) if target is not None}
        arguments |= {"values": values, **targets}
        function = "mocapact_cli.core.evaluation.inspect_views:inspect_whole"
        timeout_s = DRAWING_TIMEOUT_S
    found = run_guarded(function, arguments, timeout_s=timeout_s, progress=out.progress())
    written = [str(found[name]) for name in ("plot", "html") if name in found]
    out.show(found, lambda: list(_views(found)), short=written or found["kind"])


def _views(found: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the tables of one kind of thing."""
    from mocapact_cli.core.evaluation.inspect_tables import fact_notes, fact_pairs, fact_tables

    yield facts(fact_pairs(found))
    for part in fact_tables(found):
        yield table(part.columns, part.rows, title=part.title, numeric=part.numeric)
    if found.get("tree"):
        from mocapact_cli.cli.inspect_tree import tree_view

        yield tree_view(found["path"], found["tree"])
    if notes := fact_notes(found):
        yield ["Worth a look:", *(f"  {note}" for note in notes)]
    for name in ("plot", "html"):
        if name in found:
            yield f"Wrote {found[name]}."
