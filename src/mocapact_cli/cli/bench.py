"""`mocapact bench`: measure this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli import completion
from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.options import DeviceOpt, NumEnvsOpt, ThreadsOpt
from mocapact_cli.cli.output import facts, out, table
from mocapact_cli.core.errors import check_known
from mocapact_cli.core.formatting import counted

if TYPE_CHECKING:
    from rich.console import RenderableType

app = Commands("Measure this machine against the original's way of working.")


@app.command("startup", examples=["mocapact bench startup", "mocapact bench startup --json"])
def startup() -> None:
    """Measure the CPU seconds that commands need to start: the least of five fresh processes each."""
    from mocapact_cli.cli.main import COMMANDS
    from mocapact_cli.core.bench.startup import REPEATS, measure_startup

    lines = [["--version"], ["--help"], *([command.name, "--help"] for command in COMMANDS)]
    costs = measure_startup(lines, progress=out.progress())
    rows = [(f"mocapact {cost.command}", cost.cpu_s) for cost in costs]
    out.show(
        {"cpu_seconds": {cost.command: cost.cpu_s for cost in costs}, "repeats": REPEATS},
        lambda: table(["Command", "CPU seconds"], rows, numeric=["CPU seconds"]),
        short=[f"{seconds:.3f} {command}" for command, seconds in rows],
    )


@app.command("env", examples=["mocapact bench env", "mocapact bench env --num-envs 256 --threads 8 --json"])
def env(num_envs: NumEnvsOpt = None, threads: ThreadsOpt = None) -> None:
    """Measure the tracking environment against bare physics and against dm_control's, in under three minutes."""
    from mocapact_cli.core.bench.env import DEFAULT_NUM_ENVS, measure_env

    measured = measure_env(num_envs or DEFAULT_NUM_ENVS, threads, progress=out.progress())
    if measured["dm_control_problem"]:
        out.warn(measured["dm_control_problem"])
    out.show(measured, lambda: _env_report(measured), short=f"{measured['steps_per_s']:.0f}")


_STAGES = ("expert", "distill", "transfer")


@app.command("train", examples=["mocapact bench train", "mocapact bench train --stage distill --n-workers 8 --json"])
def train(
    *,
    stage: Annotated[
        str,
        typer.Option(help="What is trained: expert, distill or transfer.", autocompletion=completion.words(*_STAGES)),
    ] = "expert",
    threads: ThreadsOpt = None,
    device: DeviceOpt = "auto",
) -> None:
    """Measure training, in under three minutes.

    Experts and policies for tasks are compared with the original's way, Stable-Baselines3 on dm_control, the latter
    also with bare physics; distillation with the same model on one batch that stays where it is.
    """
    check_known(stage, _STAGES, "stage")
    if stage == "distill":
        _measure_distillation(threads, device)
    elif stage == "transfer":
        _measure_transfer(threads)
    else:
        _measure_expert(threads)


def _measure_distillation(threads: int | None, device: str) -> None:
    from mocapact_cli.core.bench.train_distill import measure_distillation

    measured = measure_distillation(threads, device, progress=out.progress())
    work = {
        "Steps a second": measured["steps_per_s"],
        "The same on one batch": measured["fixed_batch_steps_per_s"],
        "Share of it": measured["of_fixed_batch"],
        "Model": f"{measured['model']}, {measured['batch_size']} windows of {measured['window']} steps",
        "Device, threads": f"{measured['device']}, {measured['threads']}",
    }
    out.show(
        measured,
        lambda: facts(work, title="Medians of rounds side by side"),
        short=f"{measured['steps_per_s']:.2f}",
    )


def _measure_expert(threads: int | None) -> None:
    from mocapact_cli.core.bench.train import measure_expert_training

    measured = measure_expert_training(threads, progress=out.progress())
    if measured["original_problem"]:
        out.warn(measured["original_problem"])
    out.show(measured, lambda: _train_report(measured), short=f"{measured['steps_per_s']:.0f}")


def _measure_transfer(threads: int | None) -> None:
    from mocapact_cli.core.bench.train_transfer import measure_transfer_training

    measured = measure_transfer_training(threads, progress=out.progress())
    if measured["original_problem"]:
        out.warn(measured["original_problem"])
    columns = ["Small networks", "Training, steps a second", "Bare mj_step, the same work", "Share of it"]
    rows = [
        ("quick contacts, as fast has them", *(measured[name] for name in _QUICK)),
        ("exact contacts", *(measured[name] for name in _EXACT)),
    ]
    out.show(
        measured,
        lambda: [
            *_train_report(measured),
            table(columns, rows, title="Beside bare physics", numeric=columns[1:]),
            facts({"Quick training over bare mj_step with exact contacts": measured["over_exact_physics"]}),
        ],
        short=f"{measured['steps_per_s']:.0f}",
    )


_QUICK = ("small_steps_per_s", "raw_mj_step_per_s", "of_physics")
_EXACT = ("exact_steps_per_s", "exact_mj_step_per_s", "of_exact_physics")


@app.command("rollout", examples=["mocapact bench rollout", "mocapact bench rollout --num-envs 128 --json"])
def rollout(num_envs: NumEnvsOpt = None, threads: ThreadsOpt = None) -> None:
    """Measure the recording of experts against bare physics that does the same steps, in under three minutes."""
    from mocapact_cli.core.bench.rollout import measure_rollout

    measured = measure_rollout(num_envs, threads, progress=out.progress())
    out.show(measured, lambda: _rollout_report(measured), short=f"{measured['steps_per_s']:.0f}")


_ROLLOUT_COLUMNS = ("steps_per_s", "raw_mj_step_per_s", "of_raw")


def _rollout_report(measured: dict[str, Any]) -> list[RenderableType]:
    columns = ["Recorded experts, all observables", "Steps a second", "Bare mj_step", "Share of it"]
    rows = [
        (measured[f"expert{size}"], *(measured[name + size] for name in _ROLLOUT_COLUMNS))
        for size in ("", "_published")
    ]
    experts = counted(measured["snippets"], "expert")
    work = {
        "Episodes": f"{measured['episodes']} of {measured['episode_steps']:.0f} steps, {experts}",
        "Environments, threads": f"{measured['num_envs']}, {measured['threads']}",
    }
    return [table(columns, rows, numeric=columns[1:]), facts(work, title="Medians of rounds side by side")]


_TRAIN_ROWS = {
    "original_": "The original, on dm_control",
    "": "Ours, at the paper's settings",
    "fast_": "Ours, preset fast",
}


def _train_report(measured: dict[str, Any]) -> list[RenderableType]:
    columns = ["Training", "Steps a second", "Collected alone", "Learned alone", "Times the original"]
    parts = ("steps_per_s", "collected_per_s", "learned_per_s")
    ratios = {"original_": None, "": measured["over_original"], "fast_": measured["fast_over_original"]}
    rows = [(label, *(measured[side + part] for part in parts), ratios[side]) for side, label in _TRAIN_ROWS.items()]
    return [table(columns, rows, title="Medians of rounds side by side", numeric=columns[1:])]


_ENV_ROWS = (
    ("Episodes of a fresh policy", "steps_per_s", "episode_steps"),
    ("  bare mj_step, the same work", "raw_mj_step_per_s", "episode_steps"),
    ("  dm_control, one process a thread", "dm_control_per_s", "episode_steps"),
    ("  the original's, with a ghost", "original_per_s", "episode_steps"),
    ("The same with all observables", "steps_per_s_all_proprios", "episode_steps"),
    ("  bare mj_step, the same work", "raw_mj_step_per_s_all_proprios", "episode_steps"),
    ("Long episodes", "steps_per_s_long", "episode_steps_long"),
    ("  dm_control, one process a thread", "dm_control_long_per_s", "episode_steps_long"),
    ("  the original's, with a ghost", "original_long_per_s", "episode_steps_long"),
)
_ENV_RATIOS = {
    "of_raw": "Share of bare mj_step, experts' observables",
    "of_raw_all_proprios": "Share of bare mj_step, all observables",
    "over_dm_control": "Times dm_control, short episodes",
    "over_dm_control_long": "Times dm_control, long episodes",
    "over_original": "Times the original, short episodes",
    "over_original_long": "Times the original, long episodes",
}


def _env_report(measured: dict[str, Any]) -> list[RenderableType]:
    rows = [(name, measured[rate], measured[length]) for name, rate, length in _ENV_ROWS]
    ratios = {name: measured[key] for key, name in _ENV_RATIOS.items()}
    columns = ["Environment", "Control steps a second", "Steps an episode"]
    return [table(columns, rows, numeric=columns[1:]), facts(ratios, title="Medians of rounds side by side")]


@app.command("dataset", examples=["mocapact bench dataset", "mocapact bench dataset --json"])
def dataset() -> None:
    """Measure how fast batches of a dataset are read, on about 1 GB of generated rollouts."""
    from mocapact_cli.core.bench.dataset import measure_dataset

    measured = measure_dataset(progress=out.progress())
    out.show(measured, lambda: _dataset_report(measured), short=f"{measured['samples_per_s']:.0f}")


_DATASET_ROWS = (
    ("Single steps", "samples_per_s", ""),
    ("Windows of 30 steps", "windows_per_s", "_windows"),
)


def _dataset_report(measured: dict[str, Any]) -> list[RenderableType]:
    columns = ["Batches of 256", "A second", "Item by item", "Taken from memory", "Times item by item", "Of taking"]
    parts = ("naive{}_per_s", "gather{}_per_s", "over_naive{}", "of_gather{}")
    rows = [
        (name, measured[ours], *(measured[part.format(suffix)] for part in parts))
        for name, ours, suffix in _DATASET_ROWS
    ]
    laid = f"{measured['flat_mb']:,.0f} MB of {measured['dataset_mb']:,.0f} MB in {measured['build_s']:.0f} s"
    return [
        table(columns, rows, title="Medians of rounds side by side", numeric=columns[1:]),
        facts([("Steps", f"{measured['steps']:,}"), ("Columns", measured["columns"]), ("Laid flat", laid)]),
    ]
