"""`mocapact transfer`: train and evaluate policies for tasks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli import completion
from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.evaluations import check_files, check_work, shown_without_film
from mocapact_cli.cli.options import (
    ActNoiseOpt,
    ConfigOpt,
    ForceOpt,
    MocapOpt,
    PpoPresetOpt,
    ResumeOpt,
    SimulationOptions,
    VideoOpt,
)
from mocapact_cli.cli.output import out
from mocapact_cli.cli.resume import naming_the_way_on, resume_command
from mocapact_cli.cli.settings import Given, PrintConfigOpt, print_settings, with_settings
from mocapact_cli.cli.tracking import WandbOpt, tracked
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.formatting import counted

if TYPE_CHECKING:
    from mocapact_cli.core.evaluation.transfer import TransferSubject
    from mocapact_cli.core.training.transfer.config import TransferConfig

app = Commands("Train and evaluate policies for tasks, with or without the motor skills of a distilled policy.")

TaskBaselineOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline",
        metavar="NAME",
        autocompletion=completion.task_baselines,
        help="Also run zero or random actions in the same episodes, through the same low-level policy; may be given "
        "several times.",
    ),
]
EpisodeStepsOpt = Annotated[
    int | None,
    typer.Option("--episode-steps", min=1, help="Control steps of an episode; default: as in the run."),
]


@app.command(
    "train",
    examples=[
        "mocapact transfer train --task go-to-target --low-level-policy runs/distill/npmp --max-minutes 30",
        "mocapact transfer train --task velocity-control --low-level-policy policy.ckpt --preset paper",
        "mocapact transfer train --task go-to-target",
        "mocapact transfer train --preset paper --print-config > transfer.toml",
        "mocapact transfer train --task go-to-target --resume",
    ],
)
@with_settings(
    "mocapact_cli.core.training.transfer.config:TransferConfig",
    *("task", "low_level_policy", "max_embed", "total_timesteps", "max_minutes"),
    *("seed", "num_envs", "threads", "device"),
)
def train(
    *,
    episode_steps: Annotated[
        int | None, typer.Option("--episode-steps", min=1, help="Control steps of an episode; default: the original's.")
    ] = None,
    log_root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The run goes to DIR/<seed>; default: MOCAPACT_HOME/runs/transfer/<task>[-joints]."
        ),
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
    """Train a policy for a task by PPO, with evaluations along the way.

    The best model is kept in eval/model with a copy of the low-level policy; it loads in Stable-Baselines3 as it is. A
    killed run continues with --resume.
    """
    from mocapact_cli.cli.training_view import show_transfer, transfer_json
    from mocapact_cli.core.policies.device import choose_device
    from mocapact_cli.core.tasks.registry import task_class
    from mocapact_cli.core.training.ppo.settings import changes
    from mocapact_cli.core.training.transfer.config import resolve
    from mocapact_cli.core.training.transfer.train import (
        check_same_task,
        recorded_config,
        train_transfer,
        transfer_root,
    )

    resolved = resolve(preset, config, **settings)
    resolved = replace(resolved, task=task_class(resolved.task).name)
    if episode_steps is not None:
        resolved = replace(resolved, task_settings={**resolved.task_settings, "max_steps": episode_steps})
    root = transfer_root(log_root or _default_root(resolved), resolved.seed)
    if resume:
        resolved = recorded_config(root, changes(settings))
        check_same_task(root, resolved, settings["task"], settings["low_level_policy"])
    if print_config:
        print_settings(resolved)
        return
    with naming_the_way_on(resume_command()), tracked(wandb) as (tracker, conclude):
        result = train_transfer(
            replace(resolved, device=choose_device(resolved.device)),
            root,
            mocap=mocap or (),
            resume=resume,
            force=force,
            progress=out.progress(),
            tracker=tracker,
        )
        conclude(transfer_json(result))
    show_transfer(result)


@app.command(
    "eval",
    examples=[
        "mocapact transfer eval runs/transfer/go-to-target/0",
        "mocapact transfer eval transfer/go_to_target/0 --baseline zero --baseline random --json",
        "mocapact transfer eval runs/transfer/velocity-control/0 --n-eval-episodes 0 --video velocity.mp4",
    ],
)
def evaluate(
    model_root: Annotated[
        Path, typer.Argument(metavar="MODEL_ROOT", help="A run's folder, or its eval/model, ours or published.")
    ],
    *,
    task: Annotated[
        str | None,
        typer.Option(
            help="What it was trained on; by default its files say so.",
            metavar="TASK",
            autocompletion=completion.tasks,
        ),
    ] = None,
    n_eval_episodes: Annotated[int, typer.Option(min=0, help="Episodes; 0 for the video alone.")] = 100,
    episode_steps: EpisodeStepsOpt = None,
    act_noise: ActNoiseOpt = 0.0,
    baseline: TaskBaselineOpt = None,
    video: VideoOpt = None,
    simulation: SimulationOptions,
) -> None:
    """Evaluate a policy for a task: what it collects, how often it falls and how well it does what it is told.

    Episodes begin in the first pose of CMU_040_12, as the original's do; where that clip is not at hand, in that of the
    built-in demo_squat.
    """
    from mocapact_cli.core.evaluation.transfer import (
        TransferEvalConfig,
        check_baselines,
        evaluate_transfer,
        film_transfer,
        open_transfer,
    )

    check_work(n_eval_episodes, video)
    if n_eval_episodes == 0 and baseline:
        raise UsageError("--baseline needs episodes.", hint="Raise --n-eval-episodes.")
    check_baselines(baseline or ())
    check_files(video=video)
    subject = open_transfer(
        model_root, simulation.mocap, task=task, max_steps=episode_steps, device=simulation.network_device()
    )
    config = TransferEvalConfig(n_eval_episodes, act_noise, **simulation.work())
    document: dict[str, Any] = {}
    if n_eval_episodes:
        result = evaluate_transfer(subject, config, baselines=baseline or (), progress=out.progress())
        document = result.to_json()
    with shown_without_film(document, lambda: _show_evaluation(subject, document)):
        if video is not None:
            document["video"] = film_transfer(subject, video, config, progress=out.progress())


def _default_root(settings: TransferConfig) -> Path:
    from mocapact_cli.core.paths import runs_dir

    through = "" if settings.low_level_policy is not None else "-joints"
    return runs_dir("transfer") / f"{settings.task}{through}"


def _show_evaluation(subject: TransferSubject, document: dict[str, Any]) -> None:
    from mocapact_cli.cli.transfer_view import evaluation_table

    def human() -> list[Any]:
        made = [f"Video: {document['video']}"] if "video" in document else []
        if "episodes" not in document:
            return made
        low_level = subject.loaded.policy.low_level
        through = f"embeddings of {low_level.embed_size}" if low_level else "joints"
        pose = f"Episodes begin in the first pose of {document['start_pose']}."
        title = f"{document['task_name']}, acting by {through}: {counted(document['episodes'], 'episode')}"
        return [evaluation_table(title, document), pose, *made]

    short = document.get("return", {}).get("mean", document.get("video"))
    out.show(document, human, short=str(short))
