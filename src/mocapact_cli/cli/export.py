"""`mocapact export`: datasets for other libraries, and parts of datasets."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.options import ForceOpt
from mocapact_cli.cli.output import facts, out
from mocapact_cli.core.formatting import counted

if TYPE_CHECKING:
    from mocapact_cli.core.interop.exporters.export import ExportSummary

app = Commands()

SELECTION = "Selection"
CONTENT = "Content"


class Format(StrEnum):
    """What an export is written as."""

    ROLLOUTS = "rollouts"
    MINARI = "minari"
    D4RL = "d4rl"
    LEROBOT = "lerobot"


class Split(StrEnum):
    """A part of the paper's split."""

    TRAIN = "train"
    VALIDATION = "validation"
    BOTH = "both"


class Actions(StrEnum):
    """Which of the recorded actions."""

    SAMPLED = "sampled"
    MEAN = "mean"


class Space(StrEnum):
    """How observations are arranged."""

    FLAT = "flat"
    DICT = "dict"


@app.command(
    "export",
    examples=[
        "mocapact export dataset --to minari -o minari --name mocapact/walk-v0 --clips walk_tiny",
        "mocapact export dataset --to d4rl -o walk.hdf5 --observables joints_pos,joints_vel,world_zaxis",
        "mocapact export dataset --to lerobot -o walk_lerobot --actions mean",
        "mocapact export first second --to rollouts -o merged",
        "mocapact export dataset --to rollouts -o parts --split both",
    ],
)
def export(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Rollout files, or folders of them.")],
    *,
    to: Annotated[Format, typer.Option("--to", help="The format.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A folder (rollouts, lerobot), a file that ends in .hdf5 or .npz (d4rl), "
            "or the root of all datasets (minari).",
        ),
    ],
    clips: Annotated[
        str | None,
        typer.Option(
            metavar="CLIPS|SUBSET|FILE",
            help="Clips or snippets with commas between them, a subset such as walk_tiny, or a text file of them.",
            rich_help_panel=SELECTION,
        ),
    ] = None,
    split: Annotated[
        Split | None,
        typer.Option(
            help="Only the paper's training or validation clips; both writes rollouts into two folders.",
            rich_help_panel=SELECTION,
        ),
    ] = None,
    n_start_rollouts: Annotated[
        int | None,
        typer.Option(min=0, help="Episodes of each snippet from its start, at most.", rich_help_panel=SELECTION),
    ] = None,
    n_rsi_rollouts: Annotated[
        int | None,
        typer.Option(min=0, help="Episodes of each snippet from random steps, at most.", rich_help_panel=SELECTION),
    ] = None,
    observables: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME,...",
            help="Proprioceptive observables in this order, with or without walker/; all by default.",
            rich_help_panel=CONTENT,
        ),
    ] = None,
    actions: Annotated[
        Actions | None,
        typer.Option(
            help="The executed actions (sampled, the default) or the policy's means; rollouts keep both.",
            rich_help_panel=CONTENT,
        ),
    ] = None,
    observation_space: Annotated[
        Space | None,
        typer.Option(
            help="Minari: one vector (the default), or a dictionary of observables and cameras.",
            rich_help_panel=CONTENT,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Minari: the dataset's id, such as mocapact/walk-v0.", rich_help_panel=CONTENT),
    ] = None,
    force: ForceOpt = False,
) -> None:
    """Merge, split and subset rollouts, or turn them into Minari, D4RL or LeRobot datasets.

    Several sources become one dataset; they must agree in layout and hold different snippets. The output appears under
    its name when it is complete. Memory holds one episode at a time, whatever the size.
    """
    from mocapact_cli.core.datasets.selection import parse_selection
    from mocapact_cli.core.datasets.slicing import SliceConfig
    from mocapact_cli.core.interop.exporters.export import ExportConfig, export_rollouts

    config = ExportConfig(
        to=to.value,
        source=SliceConfig(
            selection=parse_selection(clips, split=None if split in (None, Split.BOTH) else split.value),
            observables=None if observables is None else tuple(observables.replace(",", " ").split()),
            n_start_rollouts=n_start_rollouts,
            n_rsi_rollouts=n_rsi_rollouts,
        ),
        both_splits=split is Split.BOTH,
        actions=actions and actions.value,
        name=name,
        observation_space=observation_space and observation_space.value,
    )
    _show(export_rollouts(sources, output, config, force=force, progress=out.progress()), output)


def _show(summary: ExportSummary, output: Path) -> None:
    document: dict[str, Any] = {
        "path": summary.path,
        "format": summary.format,
        "episodes": summary.episodes,
        "steps": summary.steps,
        "snippets": summary.snippets,
        "bytes": summary.bytes,
        **({"name": summary.name} if summary.name else {}),
        **({"parts": list(summary.parts)} if summary.parts else {}),
    }
    steps, snippets = counted(summary.steps, "step"), counted(summary.snippets, "snippet")
    shown = [
        ("Export", summary.path),
        ("Episodes", f"{summary.episodes:,} with {steps}, of {snippets}"),
        ("Size", f"{summary.bytes / 1e6:,.4g} MB"),
        ("Next", _next(summary, output)),
    ]
    out.show(document, lambda: facts(shown), short=str(summary.path))


def _next(summary: ExportSummary, output: Path) -> str:
    """Return how the export is loaded."""
    if summary.format == "minari":
        return (
            f"MINARI_DATASETS_PATH={output.resolve()} minari show {summary.name}; minari.load_dataset('{summary.name}')"
        )
    if summary.format == "d4rl":
        return f"numpy.load('{summary.path}')" if summary.path.suffix == ".npz" else f"h5py.File('{summary.path}')"
    if summary.format == "lerobot":
        return f"LeRobotDataset('mocapact/{summary.path.name}', root='{summary.path}')"
    return f"mocapact inspect {summary.parts[0] if summary.parts else summary.path}"
