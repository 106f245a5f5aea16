"""`mocapact fleet`: many experts at once, on one machine or on many."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.options import (
    ActNoiseOpt,
    ClipStartOpt,
    ConfigOpt,
    LogCamerasOpt,
    MinStepsOpt,
    MocapOpt,
    NumEnvsOpt,
    PpoPresetOpt,
    RefStepsOpt,
    RsiRolloutsOpt,
    SeedOpt,
    StartRolloutsOpt,
    TerminationErrorThresholdOpt,
    whole_numbers,
)
from mocapact_cli.cli.output import out
from mocapact_cli.cli.settings import Given, PrintConfigOpt, print_settings, with_settings
from mocapact_cli.core.errors import InterruptedRunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mocapact_cli.core.fleet.engine import Engine
    from mocapact_cli.core.fleet.plan import Kind, Plan
    from mocapact_cli.core.fleet.status import FleetStatus

app = Commands("Train, roll out and evaluate many experts, on one machine or on many.")

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


@app.command(
    "train",
    examples=[
        "mocapact fleet train demo_squat demo_walk --max-minutes 5 -o experts",
        "mocapact fleet train all --engine ray --address 10.0.0.1:6379 -o /shared/experts",
        "mocapact fleet train recordings.h5 CMU_016_22 snippets.txt --seeds 0,1 --preset paper -o s3://bucket/experts",
    ],
)
@with_settings(
    "mocapact_cli.core.training.expert.config:ExpertConfig",
    *("total_timesteps", "max_minutes", "warm_start", "num_envs", "min_steps", "termination_error_threshold"),
)
def train(
    selection: Annotated[
        list[str],
        typer.Argument(
            metavar="SELECTION...",
            help="Clips (cut into snippets), snippets, subsets such as all or walk_tiny, text files that list them, or "
            "mocap files.",
        ),
    ],
    *,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            "--log-root",
            metavar="DIR|URL",
            help="Experts go to DIR/<snippet>/<seed>; default: MOCAPACT_HOME/runs/experts.",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="N,N,...", help="One expert of every snippet for each; default: that of the settings."),
    ] = None,
    preset: PpoPresetOpt = None,
    settings: Given,
    config: ConfigOpt = None,
    print_config: PrintConfigOpt = False,
    mocap: MocapOpt = None,
    plan: PlanOpt = None,
    plan_only: PlanOnlyOpt = False,
    engine: EngineOpt = EngineName.LOCAL,
    address: AddressOpt = None,
    jobs: JobsOpt = None,
    threads_per_job: ThreadsPerJobOpt = 1,
    gpus_per_job: GpusPerJobOpt = 0.0,
    max_retries: MaxRetriesOpt = 2,
) -> None:
    """Train one expert of every snippet and seed.

    What is finished is never done again: the same call goes on after any interruption, as does `fleet run PLAN`.
    """
    from mocapact_cli.core.config import load_settings, to_dict
    from mocapact_cli.core.fleet.planning import training_jobs
    from mocapact_cli.core.paths import runs_dir
    from mocapact_cli.core.training.expert.config import resolve

    given = {**settings, "warm_start": _absolute_start(settings["warm_start"])}
    resolved = resolve(preset, config, **given)
    if print_config:
        print_settings(resolved)
        return
    shared = to_dict(resolved)
    own = (shared["seed"],) if seeds is None else _seeds(seeds)
    wanted, files = training_jobs(selection, mocap or (), own)
    made = _plan(
        "train",
        output or str(runs_dir("experts")),
        shared,
        jobs=wanted,
        mocap=files,
        chosen=tuple(load_settings(config)) if config else (),
        threads_per_job=threads_per_job,
        gpus_per_job=gpus_per_job,
        max_retries=max_retries,
    )
    _begin(made, plan, engine, address, jobs, plan_only=plan_only)


@app.command(
    "rollout",
    examples=[
        "mocapact fleet rollout experts -o dataset",
        "mocapact fleet rollout /shared/experts -o /shared/dataset --n-start-rollouts 100 --n-rsi-rollouts 100 "
        "--engine ray",
    ],
)
def rollout(
    expert_roots: ExpertsArg,
    *,
    output: FleetOutOpt,
    n_start_rollouts: StartRolloutsOpt = 10,
    n_rsi_rollouts: RsiRolloutsOpt = 10,
    act_noise: ActNoiseOpt = 0.1,
    ref_steps: RefStepsOpt = "1,2,3,4,5",
    min_steps: MinStepsOpt = 30,
    termination_error_threshold: TerminationErrorThresholdOpt = 0.3,
    log_cameras: LogCamerasOpt = False,
    mocap: MocapOpt = None,
    seed: SeedOpt = 0,
    num_envs: NumEnvsOpt = None,
    plan: PlanOpt = None,
    plan_only: PlanOnlyOpt = False,
    engine: EngineOpt = EngineName.LOCAL,
    address: AddressOpt = None,
    jobs: JobsOpt = None,
    threads_per_job: ThreadsPerJobOpt = 1,
    gpus_per_job: GpusPerJobOpt = 0.0,
    max_retries: MaxRetriesOpt = 2,
) -> None:
    """Record experts as a dataset, one job and one HDF5 file a clip: the very files that `mocapact rollout` writes."""
    from mocapact_cli.core.config import to_dict
    from mocapact_cli.core.fleet.planning import absolute, rollout_jobs
    from mocapact_cli.core.rollouts.config import RolloutConfig

    config = RolloutConfig(
        n_start_rollouts=n_start_rollouts,
        n_rsi_rollouts=n_rsi_rollouts,
        act_noise=act_noise,
        ref_steps=whole_numbers("--ref-steps", ref_steps),
        min_steps=min_steps or 30,
        termination_error_threshold=0.3 if termination_error_threshold is None else termination_error_threshold,
        log_cameras=log_cameras,
        num_envs=num_envs,
    )
    made = _plan(
        "rollout",
        output,
        to_dict(config),
        jobs=rollout_jobs(expert_roots, seed),
        mocap=tuple(map(absolute, mocap or ())),
        threads_per_job=threads_per_job,
        gpus_per_job=gpus_per_job,
        max_retries=max_retries,
    )
    _begin(made, plan, engine, address, jobs, plan_only=plan_only)


@app.command(
    "eval",
    examples=[
        "mocapact fleet eval experts -o evaluations",
        "mocapact fleet eval experts -o evaluations --n-eval-episodes 1000 --jobs 8",
    ],
)
def evaluate(
    expert_roots: ExpertsArg,
    *,
    output: FleetOutOpt,
    n_eval_episodes: Annotated[int, typer.Option(min=1, help="Episodes of each expert.")] = 1000,
    always_init_at_clip_start: ClipStartOpt = False,
    act_noise: ActNoiseOpt = 0.1,
    min_steps: MinStepsOpt = 10,
    termination_error_threshold: TerminationErrorThresholdOpt = 0.3,
    mocap: MocapOpt = None,
    seed: SeedOpt = 0,
    num_envs: NumEnvsOpt = None,
    plan: PlanOpt = None,
    plan_only: PlanOnlyOpt = False,
    engine: EngineOpt = EngineName.LOCAL,
    address: AddressOpt = None,
    jobs: JobsOpt = None,
    threads_per_job: ThreadsPerJobOpt = 1,
    gpus_per_job: GpusPerJobOpt = 0.0,
    max_retries: MaxRetriesOpt = 2,
) -> None:
    """Evaluate experts as `mocapact expert eval` does, one job each.

    The document of an expert goes to DIR/<snippet>/<seed>/evaluation.json, every episode's numbers beside it.
    """
    from mocapact_cli.core.config import to_dict
    from mocapact_cli.core.evaluation.evaluate import EvalConfig
    from mocapact_cli.core.fleet.planning import absolute, evaluation_jobs

    config = EvalConfig(
        n_eval_episodes=n_eval_episodes,
        always_init_at_clip_start=always_init_at_clip_start,
        act_noise=act_noise,
        min_steps=10 if min_steps is None else min_steps,
        termination_error_threshold=0.3 if termination_error_threshold is None else termination_error_threshold,
        num_envs=num_envs,
    )
    made = _plan(
        "eval",
        output,
        to_dict(config),
        jobs=evaluation_jobs(expert_roots, seed),
        mocap=tuple(map(absolute, mocap or ())),
        threads_per_job=threads_per_job,
        gpus_per_job=gpus_per_job,
        max_retries=max_retries,
    )
    _begin(made, plan, engine, address, jobs, plan_only=plan_only)


@app.command(
    "run",
    examples=[
        "mocapact fleet run experts.fleet",
        "mocapact fleet run experts.fleet --retry-failed",
        "mocapact fleet run /shared/experts.fleet --engine ray --address 10.0.0.1:6379",
    ],
)
def run(
    plan: PlanArg,
    *,
    engine: EngineOpt = EngineName.LOCAL,
    address: AddressOpt = None,
    jobs: JobsOpt = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try those again that have failed too often.", rich_help_panel=FLEET)
    ] = False,
) -> None:
    """Do what is left of a plan; jobs that were killed go on from their checkpoints."""
    from mocapact_cli.core.fleet.plan import plan_folder

    _run(plan_folder(plan), engine, address, jobs, retry_failed=retry_failed)


@app.command(
    "work",
    examples=[
        "mocapact fleet work /shared/experts.fleet",
        "mocapact fleet work /shared/experts.fleet --shard 3/100",
    ],
)
def work(
    plan: PlanArg,
    *,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Part of the jobs to begin with; then it helps with the others.")
    ] = "1/1",
    jobs: JobsOpt = None,
) -> None:
    """Work on a plan beside any number of other workers, for batch systems: one such call on each machine."""
    from mocapact_cli.cli.fleet_view import watching
    from mocapact_cli.core.fleet.driver import Share, help_out
    from mocapact_cli.core.fleet.local import LocalEngine
    from mocapact_cli.core.fleet.plan import plan_folder, read_plan

    folder, share = plan_folder(plan), Share.parse(shard)
    made = read_plan(folder)
    with _names_the_way_on(folder), watching(len(made.jobs)) as watch:
        status = help_out(folder, LocalEngine(folder, made, jobs), share, watch=watch)
    _finish(status)


@app.command("status", examples=["mocapact fleet status experts.fleet", "mocapact fleet status experts.fleet --json"])
def status(plan: PlanArg) -> None:
    """Show how far a plan is, from any machine that sees its folder."""
    from mocapact_cli.cli.fleet_view import status_tables
    from mocapact_cli.core.fleet.status import DONE, read_status

    found = read_status(plan)
    out.show(found.to_json(), lambda: status_tables(found), short=f"{len(found.of(DONE))}/{len(found.jobs)}")


@app.command("report", examples=["mocapact fleet report experts.fleet", "mocapact fleet report experts.fleet --json"])
def report(plan: PlanArg) -> None:
    """Show what a plan has come to so far: one table, one picture, and what has failed and why."""
    from mocapact_cli.core.fleet.status import read_status

    _show_report(read_status(plan))


def _plan(kind: Kind, output: str, settings: dict[str, Any], **rest: Any) -> Plan:
    from mocapact_cli.core.fleet.plan import Plan
    from mocapact_cli.core.fleet.planning import absolute

    return Plan(kind, absolute(output), settings, **rest)


def _begin(
    made: Plan, folder: Path | None, engine: EngineName, address: str | None, jobs: int | None, *, plan_only: bool
) -> None:
    """Write a plan, and run it unless only that is wanted."""
    from mocapact_cli.core.fleet.plan import default_folder, write_plan
    from mocapact_cli.core.fleet.storage import open_output

    folder = (folder or default_folder(made.output)).absolute()
    if not plan_only:
        # An address that is of no use here leaves no plan behind; where plans are only made, it need not be.
        open_output(made)
    write_plan(folder, made)
    if plan_only:
        out.show({"plan": folder, "jobs": len(made.jobs)}, f"{folder}: {len(made.jobs):,} jobs", short=str(folder))
        return
    _run(folder, engine, address, jobs)


def _run(
    folder: Path, engine: EngineName, address: str | None, jobs: int | None, *, retry_failed: bool = False
) -> None:
    from mocapact_cli.cli.fleet_view import watching
    from mocapact_cli.core.fleet.driver import drive
    from mocapact_cli.core.fleet.plan import read_plan

    folder = folder.absolute()
    made = read_plan(folder)
    running = _engine(folder, made, engine, address, jobs)
    out.message(f"Plan: {folder} (from elsewhere: mocapact fleet status {folder})")
    with _names_the_way_on(folder), watching(len(made.jobs)) as watch:
        found = drive(folder, running, retry_failed=retry_failed, watch=watch)
    _finish(found)


def _engine(folder: Path, made: Plan, name: EngineName, address: str | None, jobs: int | None) -> Engine:
    if name is EngineName.LOCAL:
        from mocapact_cli.core.fleet.local import LocalEngine

        if address is not None:
            raise UsageError("--address is for --engine ray.", hint="Add --engine ray.")
        return LocalEngine(folder, made, jobs)
    from mocapact_cli.core.fleet.ray_engine import RayEngine

    return RayEngine(folder, made, address, jobs, progress=out.progress())


def _finish(found: FleetStatus) -> None:
    from mocapact_cli.core.fleet.report import complete_dataset

    complete_dataset(found)
    _show_report(found)


def _show_report(found: FleetStatus) -> None:
    """Show the report; exit 1 where jobs have failed."""
    from mocapact_cli.cli.fleet_view import report_views
    from mocapact_cli.core.fleet.report import report_fleet

    result = report_fleet(found)
    out.show(result.to_json(), lambda: report_views(result), short=found.output)
    if result.failed:
        raise typer.Exit(1)


@contextlib.contextmanager
def _names_the_way_on(folder: Path) -> Iterator[None]:
    """Add the command that goes on to the message after Ctrl-C."""
    try:
        yield
    except InterruptedRunError as error:
        raise InterruptedRunError(error.message, hint=f"Continue with: mocapact fleet run {folder}") from error


def _absolute_start(warm_start: str | None) -> str | None:
    """A warm start as all workers know it."""
    return warm_start if warm_start in (None, "pd", "none") else str(Path(warm_start).absolute())


def _seeds(text: str) -> tuple[int, ...]:
    found = tuple(dict.fromkeys(whole_numbers("--seeds", text)))
    if not found or min(found) < 0:
        raise UsageError(f"--seeds {text!r} names no seeds.", hint="Write 0,1,2.")
    return found
