"""`mocapact expert tune`: search the settings of expert training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli.options import ConfigOpt, ForceOpt, MocapOpt, PpoPresetOpt, ResumeOpt, TrackedArg
from mocapact_cli.cli.output import out, table
from mocapact_cli.cli.resume import naming_the_way_on, resume_command
from mocapact_cli.cli.settings import Given, with_settings
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.formatting import counted, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.training.expert.tune import TuneResult

EXAMPLES = (
    "mocapact expert tune demo_squat --total-timesteps 200000 --trials 20",
    "mocapact expert tune CMU_007_01 --mocap walk.h5 --space space.toml --objective length --total-timesteps 400000",
    "mocapact expert tune demo_squat --total-timesteps 200000 --trials 40 --resume",
)
_SEARCH = "mocapact_cli.core.training.expert.tune:TuneConfig"
_TRAINING = "mocapact_cli.core.training.expert.config:ExpertConfig"


@with_settings(_SEARCH, "trials", "objective", "prune", argument="search")
@with_settings(_TRAINING, "total_timesteps", "max_minutes", "seed", "num_envs", "threads", "device")
def tune(
    clip: TrackedArg,
    *,
    space: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file of what to vary: setting = [values], or { low = A, high = B, log = true }; "
            "by default what matters most.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="The search's folder; default: MOCAPACT_HOME/runs/searches/<snippet>."
        ),
    ] = None,
    search: Given,
    preset: PpoPresetOpt = None,
    settings: Given,
    resume: ResumeOpt = False,
    force: ForceOpt = False,
    config: ConfigOpt = None,
    mocap: MocapOpt = None,
) -> None:
    """Search for settings with which an expert becomes better at equal steps, by training many with Optuna.

    Every trial is a run of `expert train` in the folder, and ends early if it is worse than the median of the others.
    The best settings are written to best.toml, which `expert train --config` reads. Several processes may search in
    one folder with --resume.
    """
    from mocapact_cli.core.clips.library import open_library
    from mocapact_cli.core.clips.selection import choose_snippet
    from mocapact_cli.core.config import apply_overrides
    from mocapact_cli.core.paths import runs_dir
    from mocapact_cli.core.policies.device import choose_device
    from mocapact_cli.core.training.expert.config import resolve
    from mocapact_cli.core.training.expert.search_space import DEFAULT_SPACE, read_space
    from mocapact_cli.core.training.expert.tune import TuneConfig, tune_expert

    library = open_library(mocap)
    snippet = choose_snippet(library, clip)
    _check_limit(config, settings)
    base = resolve(preset, config, **settings)
    with naming_the_way_on(resume_command()):
        result = tune_expert(
            library.get(snippet.clip_id),
            snippet,
            replace(base, device=choose_device(base.device)),
            DEFAULT_SPACE if space is None else read_space(space, base),
            output or runs_dir("searches") / str(snippet),
            config=apply_overrides(TuneConfig(), search),
            mocap=mocap or (),
            resume=resume,
            force=force,
            progress=out.progress(),
        )
    _show(result, mocap or [])
    if result.config is None:
        raise typer.Exit(1)


def _check_limit(config: Path | None, settings: Given) -> None:
    """Raise a `UsageError` unless something says how long a trial is: the presets' limit is days."""
    if config is None and settings["total_timesteps"] is None and settings["max_minutes"] is None:
        raise UsageError(
            "Nothing says how long each trial is.",
            hint="Add --total-timesteps 200000: trials are compared at equal steps.",
        )


def _show(result: TuneResult, mocap: Sequence[Path]) -> None:
    document = vars(result) | {"snippet": str(result.snippet), "trials": [vars(trial) for trial in result.trials]}
    out.show(document, lambda: _tables(result, mocap), short=str(result.config or ""))


def _tables(result: TuneResult, mocap: Sequence[Path]) -> list[Any]:
    names = sorted({name for trial in result.trials for name in trial.settings})
    score = f"Best {result.objective}"
    rows = [
        [
            trial.number,
            trial.outcome,
            "" if trial.score is None else f"{trial.score:.3f}",
            *(_value(trial.settings.get(name)) for name in names),
        ]
        for trial in result.trials
    ]
    title = f"{result.snippet}: {counted(len(result.trials), 'trial')}, the best first"
    shown: list[Any] = [table(["Trial", "Outcome", score, *names], rows, title=title, numeric=("Trial", score, *names))]
    if result.config is None:
        return [*shown, "No trial has finished, so there are no best settings. Vary less, or smaller values: --space."]
    files = "".join(f" --mocap {quoted(path)}" for path in mocap)
    return [*shown, f"Next: mocapact expert train {result.snippet}{files} --config {quoted(result.config)}"]


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)
