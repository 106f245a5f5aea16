"""Options of `mocapact fleet`: what a plan holds, and what carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

FLEET = "Fleet"


class EngineName(StrEnum):
    """What runs the jobs."""

    LOCAL = "local"
    RAY = "ray"


PlanArg = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan's folder.")]
PlanOpt = Annotated[
    Path | None,
    typer.Option(
        "--plan",
        metavar="DIR",
        help="Where the plan, its records and logs go, seen by all workers; default: OUTPUT.fleet.",
        rich_help_panel=FLEET,
    ),
]
EngineOpt = Annotated[
    EngineName, typer.Option("--engine", help="Processes on this machine, or a Ray cluster.", rich_help_panel=FLEET)
]
AddressOpt = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="The Ray cluster; default: RAY_ADDRESS, or the one that runs here.",
        rich_help_panel=FLEET,
    ),
]
JobsOpt = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="Jobs at once; default: all that there is room for.", rich_help_panel=FLEET),
]
ThreadsPerJobOpt = Annotated[
    int, typer.Option("--threads-per-job", min=1, help="Cores of each job.", rich_help_panel=FLEET)
]
GpusPerJobOpt = Annotated[
    float,
    typer.Option("--gpus-per-job", min=0.0, help="GPUs of each job: 0.25 lets four share one.", rich_help_panel=FLEET),
]
MaxRetriesOpt = Annotated[
    int, typer.Option("--max-retries", min=0, help="How often a job that fails is tried again.", rich_help_panel=FLEET)
]
PlanOnlyOpt = Annotated[bool, typer.Option("--plan-only", help="Write the plan and stop there.", rich_help_panel=FLEET)]
ExpertsArg = Annotated[
    list[str], typer.Argument(metavar="EXPERT_ROOT...", help="Experts, folders above them, or addresses.")
]
FleetOutOpt = Annotated[
    str, typer.Option("--output", "-o", metavar="DIR|URL", help="Where results go: seen by all workers, or an address.")
]


@dataclass(frozen=True)
class PlanOptions:
    """Where a plan goes, and what each of its jobs gets."""

    plan: PlanOpt = None
    plan_only: PlanOnlyOpt = False
    threads_per_job: ThreadsPerJobOpt = 1
    gpus_per_job: GpusPerJobOpt = 0.0
    max_retries: MaxRetriesOpt = 2

    def each_job(self) -> dict[str, Any]:
        """Return what each job gets, by the names of `Plan`."""
        names = ("threads_per_job", "gpus_per_job", "max_retries")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class RunOptions:
    """What carries a plan out, and how much of it at once."""

    engine: EngineOpt = EngineName.LOCAL
    address: AddressOpt = None
    jobs: JobsOpt = None
