"""`mocapact distill`: train and evaluate one policy for many clips."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli import completion, distill_sample
from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.distill_eval_view import show_evaluation
from mocapact_cli.cli.evaluations import check_evaluation, shown_without_film
from mocapact_cli.cli.options import (
    EVALUATION,
    ActNoiseOpt,
    BaselineOpt,
    ConfigOpt,
    EpisodeOptions,
    ForceOpt,
    MocapOpt,
    PolicyArg,
    ResumeOpt,
    SaveOpt,
    SimulationOptions,
    clips_option,
    plot_option,
)
from mocapact_cli.cli.output import facts, out
from mocapact_cli.cli.resume import naming_the_way_on, resume_command
from mocapact_cli.cli.settings import Given, PrintConfigOpt, print_settings, with_settings
from mocapact_cli.cli.tracking import WandbOpt, tracked
from mocapact_cli.core.errors import NotFoundError, UsageError
from mocapact_cli.core.formatting import quoted

if TYPE_CHECKING:
    from mocapact_cli.core.training.distillation.config import Settings
    from mocapact_cli.core.training.distillation.train import DistillResult

app = Commands("Distil one policy for many clips from a dataset, and evaluate it.")

DATA = "Data"
_DATASET = "small_dataset"


_Dataset = Annotated[
    list[Path] | None,
    typer.Option(metavar="PATH", help="Rollout files or folders; default: MOCAPACT_HOME/data/small_dataset."),
]
_Clips = Annotated[str | None, clips_option(panel=DATA)]
_HoldOut = Annotated[str | None, clips_option(help="Do not learn from these, but validate with them.", panel=DATA)]
_Val = Annotated[
    list[Path] | None,
    typer.Option(metavar="PATH", help="Rollout files or folders to validate with.", rich_help_panel=DATA),
]
_Metrics = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Statistics, dataset_metrics.npz; default: beside the first file.", rich_help_panel=DATA
    ),
]
_Preset = Annotated[
    str | None,
    typer.Option(
        help="A recipe of the paper: all, locomotion (NPMP, RWR) or completion (GPT), with its clips; or "
        "completion-fast, a small GPT for a few clips and a processor.",
        autocompletion=completion.recipes,
    ),
]
_OutputRoot = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The run's folder; default: MOCAPACT_HOME/runs/distill/<model>-<time>."),
]
_ExtraClips = Annotated[
    str | None,
    clips_option(
        "--extra-clips", "--eval-snippets", help="Also evaluate on these clips and snippets.", panel=EVALUATION
    ),
]


@app.command(
    "train",
    examples=[
        "mocapact distill train --dataset dataset --model npmp",
        "mocapact distill train --preset locomotion --dataset small_dataset --mocap cmu_2020.h5",
        "mocapact distill train --dataset small_dataset --split train --weighting rwr --extra-clips walk_tiny",
        "mocapact distill train --dataset dataset --hold-out CMU_016_22,CMU_069_01 --output-root policy",
        "mocapact distill train --preset all --print-config > npmp.toml",
        "mocapact distill train --output-root policy --resume",
        "mocapact distill train --dataset small_dataset --split train --devices 4 --precision bf16",
    ],
)
@with_settings(
    "mocapact_cli.core.training.distillation.config:DistillConfig",
    *("split", "model", "weighting", "temperature", "max_steps", "max_minutes", "batch_size"),
    *("eval_every", "n_eval_episodes", "seed", "threads", "device", "devices", "num_nodes", "precision"),
)
def train(
    *,
    dataset: _Dataset = None,
    clips: _Clips = None,
    hold_out: _HoldOut = None,
    val: _Val = None,
    metrics: _Metrics = None,
    preset: _Preset = None,
    settings: Given,
    output_root: _OutputRoot = None,
    extra_clips: _ExtraClips = None,
    resume: ResumeOpt = False,
    force: ForceOpt = False,
    config: ConfigOpt = None,
    print_config: PrintConfigOpt = False,
    wandb: WandbOpt = False,
    mocap: MocapOpt = None,
) -> None:
    """Train one policy to act as all experts of a dataset do.

    The last state and the best policy by its evaluations are kept in model/; they open with load_policy. A killed run
    continues with --resume. Settings of the network stand in the table [policy] of a --config file.
    """
    if resume and output_root is None:
        raise UsageError("--resume needs the run that is to go on.", hint="Name its folder with --output-root.")
    sources = None if print_config else _sources(dataset, resume=resume)

    from mocapact_cli.core.training.distillation.config import resolve

    going_on = output_root if resume else None
    resolved = resolve(config, preset=preset, resumed=_recorded_model(going_on) if going_on else None, **settings)
    if print_config:
        _print(resolved, going_on)
        return
    # Late, because it takes seconds, which a wrong option should not cost.
    from mocapact_cli.core.training.distillation.data import divide, recorded_division
    from mocapact_cli.core.training.distillation.evaluations import find_subjects
    from mocapact_cli.core.training.distillation.processes import placed, rank
    from mocapact_cli.core.training.distillation.resuming import recorded
    from mocapact_cli.core.training.distillation.train import distill

    leads = rank(placed(resolved.training)) == 0
    if not leads:
        # Of several processes only one speaks.
        out.configure(json=False, quiet=True)
    if sources is None and output_root is not None:
        record = recorded(output_root)
        data = recorded_division(record)
        mocap = mocap or [path for path in map(Path, record.get("mocap", ())) if path.is_file()]
        extra_clips = extra_clips or ",".join(record.get("extra_snippets", ())) or None
    else:
        by_itself = "all" if dataset or val or clips or hold_out else "auto"
        chosen = resolved.training.split or by_itself
        data = divide(sources or [], split=chosen, clips=clips, hold_out=hold_out, val=val or ())
    progress = out.progress()
    progress.message(str(data))
    evaluates = leads and resolved.training.n_eval_episodes
    root = output_root or _new_root(resolved.training.model)
    with (
        naming_the_way_on(resume_command(*([] if output_root else ["--output-root", str(root)]))),
        tracked(wandb and leads) as (tracker, conclude),
    ):
        result = distill(
            data,
            resolved.training,
            resolved.policy,
            root,
            subjects=find_subjects(data, resolved.training, extra_clips, mocap) if evaluates else {},
            mocap=mocap or (),
            metrics=metrics,
            resume=resume,
            force=force,
            progress=progress,
            tracker=tracker,
        )
        if result is not None:
            conclude(_training_json(result))
    if result is not None:
        _show_training(result, resolved.training.model)


@dataclass(frozen=True)
class _EpisodeOptions(EpisodeOptions):
    """Those of policies for many clips, which the paper evaluates without noise."""

    act_noise: ActNoiseOpt = 0.0


@app.command(
    "eval",
    examples=[
        "mocapact distill eval policy --mocap walk.h5",
        "mocapact distill eval policy/model/best.ckpt --snippets CMU_016_22-0-82 --act-noise 0.1 --json",
        "mocapact distill eval policy --baseline pd --plot policy.png --save policy.npz",
        "mocapact distill eval policy --video policy.mp4 --video-snippets 4 --n-eval-episodes 0",
    ],
)
def evaluate_policy(
    policy: PolicyArg,
    *,
    snippets: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SNIPPET",
            autocompletion=completion.snippets_of_run,
            help="A snippet or clip to track; several times for more. Default: the run's own.",
        ),
    ] = None,
    n_eval_episodes: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Episodes, divided evenly over the snippets; 0 for the video alone. Default: 1000, but at least one "
            "a snippet, and just one where all would be alike.",
        ),
    ] = None,
    episodes: _EpisodeOptions,
    stochastic: Annotated[
        bool, typer.Option("--stochastic", help="Draw the embedding of npmp, mcp and hierarchical, not take its mean.")
    ] = False,
    norm_length: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Normalized length below which the policy fails on a snippet.")
    ] = 0.98,
    baseline: BaselineOpt = None,
    plot: Annotated[Path | None, plot_option("Draw the snippets' scores and the episodes' survival")] = None,
    video: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also film several snippets side by side: .mp4, .gif or .png (strips of frames)."
        ),
    ] = None,
    video_snippets: Annotated[
        int,
        typer.Option(min=1, max=25, help="Snippets in the film, at most: from the worst to the best in even steps."),
    ] = 9,
    save: SaveOpt = None,
    simulation: SimulationOptions,
) -> None:
    """Evaluate a policy for many clips: overall and on each snippet, with those on which it fails and why.

    Every snippet has as many episodes as every other, so the overall scores weigh all snippets alike.
    """
    check_evaluation(n_eval_episodes, baseline, plot=plot, video=video, save=save)

    from mocapact_cli.core.evaluation.evaluate import EvalConfig
    from mocapact_cli.core.evaluation.many_snippets import (
        check_request,
        default_episodes,
        evaluate_snippets,
        film_snippets,
        spread_choice,
    )
    from mocapact_cli.core.evaluation.policy import open_subjects, policy_file

    opened, pairs = open_subjects(policy, snippets, simulation.mocap, device=simulation.network_device())
    config = EvalConfig(stochastic=stochastic, **asdict(episodes), **simulation.work())
    check_request(opened, config, baseline or ())
    wanted = default_episodes(len(pairs), config) if n_eval_episodes is None else n_eval_episodes
    config = replace(config, n_eval_episodes=wanted)
    document: dict[str, Any] = {"policy": policy_file(policy)}
    report = None
    if wanted:
        report = evaluate_snippets(
            opened,
            pairs,
            config,
            baselines=baseline or (),
            threshold=norm_length,
            save=save,
            plot=plot,
            progress=out.progress(),
        )
        document |= report.to_json() | {k: v for k, v in (("plot", plot), ("save", save)) if v is not None}
    with shown_without_film(document, lambda: show_evaluation(document, report)):
        if video is not None:
            filmed = spread_choice(pairs, video_snippets, report)
            document["video"] = film_snippets(opened, filmed, video, config, progress=out.progress())
            document["video_snippets"] = [str(snippet) for _, snippet in filmed]


app.command("sample", examples=distill_sample.EXAMPLES)(distill_sample.sample)


def _default_dataset() -> Path:
    from mocapact_cli.core.paths import data_dir

    folder = data_dir(_DATASET)
    if not folder.is_dir():
        raise NotFoundError(f"There is no dataset in {folder}.", hint="Name one with --dataset.")
    return folder


def _sources(dataset: list[Path] | None, *, resume: bool) -> list[Path] | None:
    """Where the rollouts are; None for where the run that goes on had them."""
    if dataset is None and resume:
        return None
    sources = dataset or [_default_dataset()]
    missing = next((path for path in sources if not path.exists()), None)
    if missing is not None:
        raise NotFoundError(f"{missing} does not exist.", hint="Give rollout files or folders of them with --dataset.")
    return sources


def _recorded_model(root: Path) -> str | None:
    from mocapact_cli.core.training.distillation.resuming import recorded_model

    return recorded_model(root)


def _print(settings: Settings, going_on: Path | None) -> None:
    """Print the settings of a training, or of the run that would go on."""
    if going_on is not None:
        from mocapact_cli.core.training.distillation.resuming import recorded_settings

        settings = recorded_settings(going_on, settings.training)
    print_settings(settings.training, policy=settings.policy)


def _new_root(model: str) -> Path:
    import time

    from mocapact_cli.core.paths import runs_dir

    return runs_dir("distill") / f"{model}-{time.strftime('%Y%m%d-%H%M%S')}"


def _training_json(result: DistillResult) -> dict[str, Any]:
    return {
        "path": result.root,
        "policy": result.best,
        "steps": result.steps,
        "seconds": result.seconds,
        "stopped_because": result.stopped_because,
        "samples": result.samples,
        "last_evaluation": result.evaluations[-1] if result.evaluations else None,
    }


def _show_training(result: DistillResult, model: str) -> None:
    last = result.evaluations[-1] if result.evaluations else {}
    shown = [
        ("Policy", result.best),
        ("Steps", f"{result.steps:,} in {result.seconds:,.0f} s; {result.stopped_because}"),
        ("Samples", f"{result.samples:,}"),
        *[(name.replace("_", " ").capitalize(), f"{value:.3f}") for name, value in last.items() if "_" in name],
        ("Next", _next_command(result.root, model)),
    ]
    out.show(_training_json(result), lambda: facts(shown, title="Distilled"), short=str(result.best))


def _next_command(root: Path, model: str) -> str:
    """What a user does with what was trained: a GPT goes on from prompts, all others track."""
    if model == "gpt":
        return f"mocapact complete {quoted(root)} --clip-snippet SNIPPET --experts EXPERTS_FOLDER"
    return f"mocapact distill eval {quoted(root)}"
