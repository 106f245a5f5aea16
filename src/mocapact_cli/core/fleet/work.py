"""Doing one job with the functions that do it without a fleet."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.config import from_dict
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.fleet.far import is_address
from mocapact_cli.core.fleet.storage import open_output
from mocapact_cli.core.paths import data_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from mocapact_cli.core.fleet.plan import Job, Plan
    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.training.expert.config import ExpertConfig


def do_job(plan: Plan, job: Job, progress: Progress) -> dict[str, Any]:
    """Do a job, or what is left of it, and return what came of it.

    The document has `cards`, one an expert (the fields of `ExpertCard`), and counts by kind: `timesteps`,
    `episodes`, `steps`, `seconds`.

    Raises:
        MocapactError: As the function that does the work.
        OSError: The disk is full, or the like.
    """
    work: dict[str, Callable[[Plan, Job, Path, Progress], dict[str, Any]]] = {
        "train": _train, "rollout": _roll_out, "eval": _evaluate
    }  # fmt: skip
    with open_output(plan).workplace(job) as folder:
        done = work[plan.kind](plan, job, folder, progress)
    if is_address(plan.output):
        # What was made here lies there now.
        done["cards"] = [card | {"root": f"{plan.output.rstrip('/')}/{job.id}"} for card in done["cards"]]
    return done


def _train(plan: Plan, job: Job, root: Path, progress: Progress) -> dict[str, Any]:
    from mocapact_cli.core.clips.library import open_library
    from mocapact_cli.core.evaluation.expert_report import read_card
    from mocapact_cli.core.interop.run_files import CONFIG
    from mocapact_cli.core.training.expert.config import ExpertConfig, completed
    from mocapact_cli.core.training.expert.train import train_expert

    mocap = mocap_here(plan)
    library = open_library(mocap)
    snippet = library.resolve(job.snippets[0])
    config = from_dict(ExpertConfig, completed(plan.settings) | _machine(plan) | {"seed": job.seed})
    begun = (root / CONFIG).exists()
    if begun:
        _check_same(plan, config, root, job)
    result = train_expert(
        library.get(snippet.clip_id),
        snippet,
        config,
        root,
        mocap=mocap,
        chosen=plan.chosen,
        resume=begun,
        progress=progress,
    )
    card = read_card(root).to_json()
    done = {"timesteps": result.timesteps, "seconds": result.seconds, "stopped_because": result.stopped_because}
    return done | {"cards": [card]}


def _check_same(plan: Plan, config: ExpertConfig, root: Path, job: Job) -> None:
    """See that the run which lies there is of this plan, so that nobody's other run is gone on with.

    Raises:
        UsageError: It is not.
    """
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.sim.observables import TIME_INDEX
    from mocapact_cli.core.training.expert.pretrained import adopt_networks
    from mocapact_cli.core.training.expert.train import recorded_config
    from mocapact_cli.core.training.ppo.settings import CHANGEABLE

    there = recorded_config(root, Snippet.parse(job.snippets[0]), {})
    wanted = adopt_networks(config, TIME_INDEX, root, plan.chosen)
    passed = {*CHANGEABLE, *(["overlap"] if wanted.overlap is None else [])}
    names = [item.name for item in fields(wanted) if item.name not in passed]
    differing = [name for name in names if getattr(there, name) != getattr(wanted, name)]
    if differing:
        raise UsageError(
            f"{root} holds a run with other {', '.join(differing[:5])}.",
            hint="Give the fleet another output, or move that run away.",
        )


def _roll_out(plan: Plan, job: Job, folder: Path, progress: Progress) -> dict[str, Any]:
    from mocapact_cli.core.clips.library import open_library
    from mocapact_cli.core.datasets.reader import SUFFIX
    from mocapact_cli.core.fleet.storage import local_experts
    from mocapact_cli.core.interop.expert_folder import find_expert, recorded_mocap
    from mocapact_cli.core.rollouts.config import RolloutConfig
    from mocapact_cli.core.rollouts.recorder import record_rollouts

    with local_experts(job.experts) as roots:
        experts = [find_expert(root) for root in roots]
        library = open_library(mocap_here(plan) or recorded_mocap(experts))
        config = from_dict(RolloutConfig, plan.settings | _machine(plan) | {"seed": job.seed})
        done = record_rollouts(experts, library, folder, config, resume=True, metrics=False, progress=progress)
    cards = _recorded_cards(folder / f"{job.id}{SUFFIX}")
    return {"episodes": done.episodes, "steps": done.steps, "failed": done.failed, "cards": cards}


def _recorded_cards(path: Path) -> list[dict[str, Any]]:
    from mocapact_cli.core.datasets.reader import RolloutFile
    from mocapact_cli.core.evaluation.expert_report import ExpertCard

    with RolloutFile(path) as file:
        means = {name: (file[name].norm_returns.mean(), file[name].norm_lengths.mean()) for name in file.snippets}
    return [
        ExpertCard(path, name, norm_return=float(value), norm_length=float(length)).to_json()
        for name, (value, length) in means.items()
    ]


def _evaluate(plan: Plan, job: Job, folder: Path, progress: Progress) -> dict[str, Any]:
    from mocapact_cli.core.evaluation.evaluate import EvalConfig
    from mocapact_cli.core.evaluation.expert import evaluate_expert, open_expert
    from mocapact_cli.core.evaluation.expert_report import ExpertCard
    from mocapact_cli.core.evaluation.report import EVALUATIONS_FILE
    from mocapact_cli.core.fleet.storage import local_experts
    from mocapact_cli.core.json_files import write_json

    machine = _machine(plan)
    config = from_dict(EvalConfig, plan.settings | {"seed": job.seed, "threads": machine["threads"]})
    with local_experts(job.experts) as (root,):
        subject = open_expert(root, mocap_here(plan) or None, device=machine["device"])
        result = evaluate_expert(subject, config, save=folder / EVALUATIONS_FILE, progress=progress)
    write_json(folder / "evaluation.json", result.to_json())
    card = ExpertCard(
        Path(job.experts[0]), job.snippets[0], norm_return=result.norm_return, norm_length=result.norm_length
    )
    steps = sum(end.length for end in result.ends)
    return {"episodes": len(result.ends), "steps": steps, "cards": [card.to_json()]}


def mocap_here(plan: Plan) -> list[Path]:
    """The plan's mocap files on this machine; one that lies in this machine's data folder instead is found there."""
    own = data_dir("mocap")
    files = [Path(path) for path in plan.mocap]
    return [path for path in files if path.is_file() or not (own / path.name).is_file()]


def _machine(plan: Plan) -> dict[str, Any]:
    """Settings that follow from the cores and GPUs of a job."""
    from mocapact_cli.core.policies.device import choose_device

    device = choose_device("auto") if plan.gpus_per_job else "cpu"
    return {"threads": plan.threads_per_job, "device": device}
