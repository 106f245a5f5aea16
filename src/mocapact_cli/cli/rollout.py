"""`mocapact rollout`: record experts as a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.options import ForceOpt, OutDirOpt, RecordingOptions, ResumeOpt, SimulationOptions
from mocapact_cli.cli.output import facts, out
from mocapact_cli.cli.resume import naming_the_way_on, resume_command
from mocapact_cli.core.formatting import counted, quoted

if TYPE_CHECKING:
    from mocapact_cli.core.rollouts.recorder import RolloutSummary

app = Commands()


@app.command(
    "rollout",
    examples=[
        "mocapact rollout experts -o dataset",
        "mocapact rollout experts/CMU_016_22-0-82 -o dataset --n-start-rollouts 2 --n-rsi-rollouts 8",
        "mocapact rollout experts -o dataset --log-cameras",
        "mocapact rollout experts -o dataset --resume",
    ],
)
def rollout(
    expert_roots: Annotated[
        list[Path], typer.Argument(metavar="EXPERT_ROOT...", help="Experts, or folders above them.")
    ],
    *,
    output: OutDirOpt,
    recording: RecordingOptions,
    resume: ResumeOpt = False,
    force: ForceOpt = False,
    simulation: SimulationOptions,
) -> None:
    """Run experts and record their episodes as a dataset, one HDF5 file a clip.

    Every proprioceptive observable is recorded with sampled and mean actions, rewards, values and advantages. Clips
    that are complete are skipped with --resume; an interrupted run loses only the clips that it was recording.
    """
    from mocapact_cli.core.clips.library import open_library
    from mocapact_cli.core.interop.expert_folder import find_experts, recorded_mocap
    from mocapact_cli.core.rollouts.recorder import record_rollouts

    experts = [place for root in expert_roots for place in find_experts(root)]
    config = recording.config(**simulation.work(), device=simulation.network_device())
    library = open_library(simulation.mocap or recorded_mocap(experts))
    with naming_the_way_on(resume_command(), kept="complete clips are kept"):
        summary = record_rollouts(experts, library, output, config, resume=resume, force=force, progress=out.progress())
    _show(summary)


def _show(summary: RolloutSummary) -> None:
    document = {
        "path": summary.folder,
        "recorded": summary.recorded,
        "skipped": summary.skipped,
        "episodes": summary.episodes,
        "steps": summary.steps,
        "early_termination_rate": summary.failed / summary.episodes if summary.episodes else None,
    }
    shown = [
        ("Dataset", summary.folder),
        ("Clips recorded", len(summary.recorded)),
        *([("Clips complete before", len(summary.skipped))] if summary.skipped else []),
        ("Episodes", f"{summary.episodes:,} with {counted(summary.steps, 'step')}, {summary.failed:,} ended early"),
        ("Next", f"mocapact inspect {quoted(summary.folder)}"),
    ]
    out.show(document, lambda: facts(shown), short=str(summary.folder))
