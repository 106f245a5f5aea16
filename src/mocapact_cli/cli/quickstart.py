"""`mocapact quickstart`: the whole pipeline on one clip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli import completion
from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.options import DeviceOpt, ForceOpt, ResumeOpt, SeedOpt, ThreadsOpt
from mocapact_cli.cli.output import facts, out, table
from mocapact_cli.core.formatting import quoted

if TYPE_CHECKING:
    from mocapact_cli.core.pipelines.quickstart import QuickstartResult

app = Commands()


@app.command(
    "quickstart",
    examples=[
        "mocapact quickstart",
        "mocapact quickstart --clip demo_walk --minutes 10",
        "mocapact quickstart --clip 07_01.amc --out my_walk",
    ],
)
def quickstart(
    *,
    output: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where everything goes; default: MOCAPACT_HOME/runs/quickstart."),
    ] = None,
    clip: Annotated[
        str | None,
        typer.Option(
            metavar="ID|FILE.amc",
            autocompletion=completion.clips,
            help="A clip or a recording; default: a built-in squat.",
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.05, help="Minutes to train.")] = 5.0,
    resume: ResumeOpt = False,
    force: ForceOpt = False,
    seed: SeedOpt = 0,
    threads: ThreadsOpt = None,
    device: DeviceOpt = "auto",
) -> None:
    """Train an expert on a clip, evaluate it, film it beside its reference, roll it out and inspect the dataset."""
    from mocapact_cli.core.pipelines.quickstart import DEMO, QuickstartConfig
    from mocapact_cli.core.pipelines.quickstart import quickstart as run
    from mocapact_cli.core.policies.device import choose_device

    config = QuickstartConfig(clip or DEMO, minutes, seed, threads, choose_device(device))
    result = run(config, output, resume=resume, force=force, progress=out.progress())
    for note in result.notes:
        out.warn(note)
    out.show(result.to_json(), lambda: _views(result), short=str(result.folder))


def _views(result: QuickstartResult) -> list[Any]:
    rows = [
        ("from random steps, noise 0.1", *_means(result.expert)),
        ("from the start, no noise", *_means(result.from_start)),
    ]
    columns = ["Expert", "Normalized length", "Normalized return"]
    stages = [(stage["name"], stage["seconds"]) for stage in result.stages]
    return [
        table(columns, rows, title=str(result.snippet), numeric=columns[1:]),
        table(["Stage", "Seconds"], stages, numeric=["Seconds"]),
        facts({name.capitalize(): str(path) for name, path in result.artifacts.items()}, title="What was made"),
        "\nNext:\n" + "\n".join(f"  {command}" for command in _next_commands(result)),
    ]


def _means(evaluation: dict[str, Any]) -> tuple[float, float]:
    return evaluation["norm_length"]["mean"], evaluation["norm_return"]["mean"]


def _next_commands(result: QuickstartResult) -> list[str]:
    expert, dataset = result.artifacts["expert"], result.artifacts["dataset"]
    return [
        f"mocapact expert eval {quoted(expert)} --n-eval-episodes 1000",
        f"mocapact inspect {quoted(dataset)} --tree",
        "mocapact clips list",
        "mocapact quickstart --clip YOUR_RECORDING.amc",
    ]
