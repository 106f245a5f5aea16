"""`mocapact expert`: train and evaluate policies that track one snippet."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli import expert_tune
from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.evaluations import check_evaluation, shown_without_film
from mocapact_cli.cli.expert_eval_view import evaluation_table
from mocapact_cli.cli.options import (
    BaselineOpt,
    ConfigOpt,
    EpisodeOptions,
    ForceOpt,
    MocapOpt,
    PpoPresetOpt,
    ResumeOpt,
    SaveOpt,
    SimulationOptions,
    TrackedArg,
    VideoOpt,
    plot_option,
)
from mocapact_cli.cli.output import out
from mocapact_cli.cli.resume import naming_the_way_on, resume_command
from mocapact_cli.cli.settings import Given, PrintConfigOpt, print_settings, with_settings
from mocapact_cli.cli.tracking import WandbOpt, tracked
from mocapact_cli.core.formatting import counted

if TYPE_CHECKING:
    from mocapact_cli.core.clips.snippets import Snippet

app = Commands("Train, evaluate and compare experts: policies that track one snippet.")


@app.command(
    "train",
    examples=[
        "mocapact expert train demo_squat --max-minutes 5",
        "mocapact expert train CMU_007_01-0-82 --mocap walk.h5 --log-root experts",
        "mocapact expert train CMU_016_22 --preset paper --n-workers 8",
        "mocapact expert train demo_squat --warm-start experts/CMU_016_22-0-82",
        "mocapact expert train demo_squat --preset paper --print-config > expert.toml",
        "mocapact expert train demo_squat --resume",
    ],
)
@with_settings(
    "mocapact_cli.core.training.expert.config:ExpertConfig",
    *("total_timesteps", "max_minutes", "warm_start", "seed", "num_envs", "threads", "device"),
    *("min_steps", "termination_error_threshold"),
)
def train(
    clip: TrackedArg,
    *,
    start_step: Annotated[int, typer.Option(min=0, help="First step of the clip to track.")] = 0,
    max_steps: Annotated[int, typer.Option(min=2, help="Longest part to track, in steps.")] = 210,
    log_root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Experts go to DIR/<snippet>/<seed>; default: MOCAPACT_HOME/runs/experts."),
    ] = None,
    preset: PpoPresetOpt = None,
    settings: Given,
    resume: ResumeOpt = False,
    force: ForceOpt = False,
    config: ConfigOpt = None,
    print_config: PrintConfigOpt = False,
    wandb: WandbOpt = False,
    mocap: MocapOpt = None,
) -> None:
    """Train an expert by PPO, with evaluations from random steps and from the start along the way.

    The best models are kept in eval_rsi/model and eval_start/model; they load in Stable-Baselines3 as they are. A
    killed run continues with --resume.
    """
    from mocapact_cli.cli.training_view import expert_json, show_expert
    from mocapact_cli.core.clips.library import open_library
    from mocapact_cli.core.clips.selection import choose_snippet
    from mocapact_cli.core.config import load_settings
    from mocapact_cli.core.policies.device import choose_device
    from mocapact_cli.core.training.expert.config import resolve
    from mocapact_cli.core.training.expert.train import expert_root, recorded_config, train_expert, with_warm_start
    from mocapact_cli.core.training.ppo.settings import changes

    library = open_library(mocap)
    snippet = choose_snippet(library, clip, start_step, max_steps)
    resolved = resolve(preset, config, **settings)
    root = expert_root(log_root or _default_root(), snippet, resolved.seed)
    chosen = load_settings(config) if config else ()
    if resume:
        resolved = recorded_config(root, snippet, changes(settings))
    if print_config:
        print_settings(resolved if resume else with_warm_start(resolved, root, chosen))
        return
    with naming_the_way_on(resume_command()), tracked(wandb) as (tracker, conclude):
        result = train_expert(
            library.get(snippet.clip_id),
            snippet,
            replace(resolved, device=choose_device(resolved.device)),
            root,
            mocap=mocap or (),
            chosen=chosen,
            resume=resume,
            force=force,
            progress=out.progress(),
            tracker=tracker,
        )
        conclude(expert_json(result))
    show_expert(result)


app.command("tune", examples=expert_tune.EXAMPLES)(expert_tune.tune)


@app.command(
    "eval",
    examples=[
        "mocapact expert eval experts/demo_squat-0-60",
        "mocapact expert eval experts/CMU_016_22-0-82/0/eval_rsi/model --n-eval-episodes 1000 --json",
        "mocapact expert eval experts/demo_squat-0-60 --baseline pd --baseline zero --plot squat.png",
        "mocapact expert eval experts/demo_squat-0-60 --video squat.mp4 --n-eval-episodes 0",
    ],
)
def evaluate(
    policy_root: Annotated[
        Path, typer.Argument(metavar="POLICY_ROOT", help="An expert's model, or a folder above it.")
    ],
    *,
    n_eval_episodes: Annotated[int, typer.Option(min=0, help="Episodes; 0 for the video alone.")] = 1000,
    episodes: EpisodeOptions,
    baseline: BaselineOpt = None,
    plot: Annotated[Path | None, plot_option("Draw reward channels and survival over clip time")] = None,
    video: VideoOpt = None,
    save: SaveOpt = None,
    simulation: SimulationOptions,
) -> None:
    """Evaluate an expert as the published ones were: many episodes, noise on the actions."""
    from mocapact_cli.core.evaluation.evaluate import EvalConfig
    from mocapact_cli.core.evaluation.expert import evaluate_expert, film_expert, open_expert

    check_evaluation(n_eval_episodes, baseline, plot=plot, video=video, save=save)
    subject = open_expert(policy_root, simulation.mocap, device=simulation.network_device())
    config = EvalConfig(n_eval_episodes=n_eval_episodes, **asdict(episodes), **simulation.work())
    document: dict[str, Any] = {}
    if n_eval_episodes:
        document = evaluate_expert(
            subject, config, save=save, baselines=baseline or (), plot=plot, progress=out.progress()
        ).to_json()
    if plot is not None:
        document["plot"] = plot
    with shown_without_film(document, lambda: _show_evaluation(subject.snippet, document)):
        if video is not None:
            document["video"] = film_expert(subject, video, config, progress=out.progress())


@app.command(
    "report",
    examples=[
        "mocapact expert report experts",
        "mocapact expert report experts/CMU_016_22-0-82 more/experts --norm-length 0.95 -o experts.png",
        "mocapact expert report experts --json",
    ],
)
def report(
    roots: Annotated[list[Path], typer.Argument(metavar="ROOT...", help="Experts, or folders above them.")],
    *,
    norm_length: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Normalized length from random steps below which an expert fails.")
    ] = 0.98,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The picture: .png, .svg or .pdf; default: MOCAPACT_HOME/runs/experts-report.png.",
        ),
    ] = None,
) -> None:
    """Show how good many experts are, ours and published ones: one table, one picture, and which fail and why.

    The scores are those of the evaluations during training, for the model that was kept. Damaged and unfinished
    experts are listed with the reason and do not stop the report.
    """
    from mocapact_cli.cli.expert_report_view import report_tables
    from mocapact_cli.core.evaluation.expert_report import report_experts
    from mocapact_cli.core.paths import runs_dir

    result = report_experts(roots, threshold=norm_length, progress=out.progress())
    picture = result.plot(output or runs_dir("experts-report.png"))
    document = result.to_json() | {"picture": picture}
    out.show(document, lambda: [*report_tables(result), f"Picture: {picture}"], short=str(picture))


def _default_root() -> Path:
    from mocapact_cli.core.paths import runs_dir

    return runs_dir("experts")


def _show_evaluation(snippet: Snippet, document: dict[str, Any]) -> None:
    def human() -> list[Any]:
        made = [f"{name.title()}: {document[name]}" for name in ("plot", "video") if name in document]
        if "episodes" not in document:
            return made
        title = f"{snippet}: {counted(document['episodes'], 'episode')}"
        return [evaluation_table(title, document), *made]

    short = document.get("norm_return", {}).get("mean", document.get("video"))
    out.show(document, human, short=str(short))
