"""`mocapact fleet`: many experts at once, on one machine or on many."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.fleet_options import (
    FLEET,
    EngineName,
    ExpertsArg,
    FleetOutOpt,
    JobsOpt,
    PlanArg,
    PlanOptions,
    RunOptions,
)
from mocapact_cli.cli.options import (
    ConfigOpt,
    EpisodeOptions,
    MocapOpt,
    NumEnvsOpt,
    PpoPresetOpt,
    RecordingOptions,
    SeedOpt,
    whole_numbers,
)
from mocapact_cli.cli.output import out
from mocapact_cli.cli.resume import naming_the_way_on
from mocapact_cli.cli.settings import Given, PrintConfigOpt, print_settings, with_settings
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.formatting import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.fleet.engine import Engine
    from mocapact_cli.core.fleet.plan import Kind, Plan
    from mocapact_cli.core.fleet.status import FleetStatus

app = Commands("Train, roll out and evaluate many experts, on one machine or on many.")


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
    planning: PlanOptions,
    running: RunOptions,
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
        planning,
        jobs=wanted,
        mocap=files,
        chosen=tuple(load_settings(config)) if config else (),
    )
    _begin(made, planning, running)


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
    recording: RecordingOptions,
    mocap: MocapOpt = None,
    seed: SeedOpt = 0,
    num_envs: NumEnvsOpt = None,
    planning: PlanOptions,
    running: RunOptions,
) -> None:
    """Record experts as a dataset, one job and one HDF5 file a clip: the very files that `mocapact rollout` writes."""
    from mocapact_cli.core.config import to_dict
    from mocapact_cli.core.fleet.planning import rollout_jobs

    settings = to_dict(recording.config(num_envs=num_envs))
    made = _plan("rollout", output, settings, planning, jobs=rollout_jobs(expert_roots, seed), mocap=mocap or ())
    _begin(made, planning, running)


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
    episodes: EpisodeOptions,
    mocap: MocapOpt = None,
    seed: SeedOpt = 0,
    num_envs: NumEnvsOpt = None,
    planning: PlanOptions,
    running: RunOptions,
) -> None:
    """Evaluate experts as `mocapact expert eval` does, one job each.

    The document of an expert goes to DIR/<snippet>/<seed>/evaluation.json, every episode's numbers beside it.
    """
    from mocapact_cli.core.config import to_dict
    from mocapact_cli.core.evaluation.evaluate import EvalConfig
    from mocapact_cli.core.fleet.planning import evaluation_jobs

    settings = to_dict(EvalConfig(n_eval_episodes=n_eval_episodes, num_envs=num_envs, **asdict(episodes)))
    made = _plan("eval", output, settings, planning, jobs=evaluation_jobs(expert_roots, seed), mocap=mocap or ())
    _begin(made, planning, running)


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
    running: RunOptions,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try those again that have failed too often.", rich_help_panel=FLEET)
    ] = False,
) -> None:
    """Do what is left of a plan; jobs that were killed go on from their checkpoints."""
    from mocapact_cli.core.fleet.plan import plan_folder

    _run(plan_folder(plan), running, retry_failed=retry_failed)


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
    with naming_the_way_on(f"mocapact fleet run {quoted(folder)}"), watching(len(made.jobs)) as watch:
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


def _plan(
    kind: Kind,
    output: str,
    settings: dict[str, Any],
    planning: PlanOptions,
    *,
    mocap: Sequence[Path | str],
    **rest: Any,
) -> Plan:
    from mocapact_cli.core.fleet.plan import Plan
    from mocapact_cli.core.fleet.planning import absolute

    return Plan(kind, absolute(output), settings, mocap=tuple(map(absolute, mocap)), **planning.each_job(), **rest)


def _begin(made: Plan, planning: PlanOptions, running: RunOptions) -> None:
    """Write a plan, and run it unless only that is wanted."""
    from mocapact_cli.core.fleet.plan import default_folder, write_plan
    from mocapact_cli.core.fleet.storage import open_output

    folder = (planning.plan or default_folder(made.output)).absolute()
    if not planning.plan_only:
        # An address that is of no use here leaves no plan behind; where plans are only made, it need not be.
        open_output(made)
    write_plan(folder, made)
    if planning.plan_only:
        out.show({"plan": folder, "jobs": len(made.jobs)}, f"{folder}: {len(made.jobs):,} jobs", short=str(folder))
        return
    _run(folder, running)


def _run(folder: Path, running: RunOptions, *, retry_failed: bool = False) -> None:
    from mocapact_cli.cli.fleet_view import watching
    from mocapact_cli.core.fleet.driver import drive
    from mocapact_cli.core.fleet.plan import read_plan

    folder = folder.absolute()
    made = read_plan(folder)
    engine = _engine(folder, made, running)
    out.message(f"Plan: {folder} (from elsewhere: mocapact fleet status {quoted(folder)})")
    with naming_the_way_on(f"mocapact fleet run {quoted(folder)}"), watching(len(made.jobs)) as watch:
        found = drive(folder, engine, retry_failed=retry_failed, watch=watch)
    _finish(found)


def _engine(folder: Path, made: Plan, running: RunOptions) -> Engine:
    if running.engine is EngineName.LOCAL:
        from mocapact_cli.core.fleet.local import LocalEngine

        if running.address is not None:
            raise UsageError("--address is for --engine ray.", hint="Add --engine ray.")
        return LocalEngine(folder, made, running.jobs)
    from mocapact_cli.core.fleet.ray_engine import RayEngine

    return RayEngine(folder, made, running.address, running.jobs, progress=out.progress())


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


def _absolute_start(warm_start: str | None) -> str | None:
    """A warm start as all workers know it."""
    return warm_start if warm_start in (None, "pd", "none") else str(Path(warm_start).absolute())


def _seeds(text: str) -> tuple[int, ...]:
    found = tuple(dict.fromkeys(whole_numbers("--seeds", text)))
    if not found or min(found) < 0:
        raise UsageError(f"--seeds {text!r} names no seeds.", hint="Write 0,1,2.")
    return found
