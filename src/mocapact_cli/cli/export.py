"""`mocapact export`: datasets and policies for other libraries, and parts of datasets."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli import completion
from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.options import ForceOpt, clips_option
from mocapact_cli.cli.output import facts, out
from mocapact_cli.core.formatting import counted, quoted, size_text

if TYPE_CHECKING:
    from mocapact_cli.core.interop.exporters.export import ExportSummary
    from mocapact_cli.core.interop.exporters.policies import PolicySummary
    from mocapact_cli.core.interop.policy_interface import Port

app = Commands()

SELECTION = "Selection"
CONTENT = "Content"


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


_Target = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="FORMAT",
        autocompletion=completion.export_targets,
        help="Of rollouts: rollouts, minari, d4rl or lerobot. Of a policy: safetensors or onnx.",
    ),
]


@app.command(
    "export",
    examples=[
        "mocapact export dataset --to minari -o minari --name mocapact/walk-v0 --clips walk_tiny",
        "mocapact export dataset --to d4rl -o walk.hdf5 --observables joints_pos,joints_vel,world_zaxis",
        "mocapact export dataset --to lerobot -o walk_lerobot --actions mean",
        "mocapact export first second --to rollouts -o merged",
        "mocapact export dataset --to rollouts -o parts --split both",
        "mocapact export policy --to onnx -o walk.onnx",
        "mocapact export experts/CMU_016_22-0-82 --to safetensors -o expert.safetensors",
    ],
)
def export(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...", help="Rollout files, or folders of them; or a policy: a checkpoint, a run, an expert."
        ),
    ],
    *,
    to: _Target,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A folder (rollouts, lerobot), a file that ends in .hdf5 or .npz (d4rl), the root of all datasets "
            "(minari), or a file that ends in .safetensors or .onnx.",
        ),
    ],
    clips: Annotated[str | None, clips_option(panel=SELECTION)] = None,
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
    """Merge, split and subset rollouts, turn them into datasets of other libraries, or a policy into a portable file.

    Several sources become one dataset; they must agree in layout and hold different snippets. The output appears under
    its name when it is complete. Memory holds one episode at a time, whatever the size.

    A policy, ours or published, becomes safetensors (with JSON that describes it) or ONNX (one step of acting, from
    flat observations and state). It appears under its name when its actions have been compared with the policy's.
    """
    from mocapact_cli.core.datasets.selection import parse_selection
    from mocapact_cli.core.datasets.slicing import SliceConfig
    from mocapact_cli.core.interop.exporters.export import ExportConfig, export_rollouts
    from mocapact_cli.core.interop.exporters.policies import export_policy
    from mocapact_cli.core.interop.exporters.targets import POLICY_TARGETS

    config = ExportConfig(
        to=to,
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
    if to in POLICY_TARGETS:
        _show_policy(export_policy(sources, output, to, force=force, progress=out.progress()))
    else:
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
        ("Size", size_text(summary.bytes)),
        ("Next", _next(summary, output)),
    ]
    out.show(document, lambda: facts(shown), short=str(summary.path))


def _show_policy(summary: PolicySummary) -> None:
    document = {
        "path": summary.path,
        "format": summary.format,
        "model": summary.model,
        "bytes": summary.bytes,
        **({"description": summary.description} if summary.description else {}),
        "observables": list(summary.observables),
        "sizes": list(summary.observables.values()),
        "ref_steps": list(summary.ref_steps),
        "inputs": [asdict(port) for port in summary.inputs],
        "outputs": [asdict(port) for port in summary.outputs],
        "largest_difference": summary.largest_difference,
    }
    beside = [("Beside it", f"{summary.description}, which describes it")] if summary.description else []
    shown = [
        ("Export", summary.path),
        *beside,
        ("Size", size_text(summary.bytes)),
        ("Model", summary.model),
        ("Sees", ", ".join(f"{name} {size}" for name, size in summary.observables.items())),
        ("Reference steps", ", ".join(map(str, summary.ref_steps)) or "none"),
        ("Inputs", _ports(summary.inputs)),
        ("Outputs", _ports(summary.outputs)),
        ("Checked", f"actions differ by {summary.largest_difference:.2g} at most"),
        ("Next", f"mocapact inspect {quoted(summary.path)}"),
    ]
    out.show(document, lambda: facts(shown), short=str(summary.path))


def _ports(ports: tuple[Port, ...]) -> str:
    return "\n".join(f"{port.name} {' x '.join(map(str, port.shape))}, {port.dtype}" for port in ports)


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
    return f"mocapact inspect {quoted(summary.parts[0] if summary.parts else summary.path)}"
