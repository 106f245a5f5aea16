"""`mocapact distill sample`: what a policy's decoder does by itself with sampled and mixed embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli import completion
from mocapact_cli.cli.evaluations import check_files, shown_without_film
from mocapact_cli.cli.options import (
    ClipStartOpt,
    PolicyArg,
    SimulationOptions,
    TerminationErrorThresholdOpt,
    VideoOpt,
    plot_option,
)
from mocapact_cli.cli.output import facts, out, table
from mocapact_cli.core.errors import UsageError

if TYPE_CHECKING:
    from mocapact_cli.core.evaluation.latent import LatentConfig, LatentStudy

_COLUMNS = {
    "kind": "Embedding",
    "walkers": "Walkers",
    "seconds": "Up (s)",
    "fell": "Fell",
    "distance_m": "Distance (m)",
    "speed_m_s": "Speed (m/s)",
    "joint_motion_rad_s": "Joint motion (rad/s)",
    "embedding_spread": "Spread",
    "joints_from_zero_rad": "From zero (rad)",
    "joints_from_a_rad": "From A (rad)",
    "joints_from_b_rad": "From B (rad)",
}


EXAMPLES = (
    "mocapact distill sample policy --video prior.mp4 --plot embeddings.png",
    "mocapact distill sample policy --correlation 0.95 --n-walkers 64 --json",
    "mocapact distill sample policy --interpolate demo_walk demo_reach --video between.mp4",
)


def sample(
    policy: PolicyArg,
    *,
    interpolate: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            autocompletion=completion.snippets_of_run,
            help="Go from what the policy encodes of snippet A to what it encodes of B, from A's start.",
        ),
    ] = None,
    snippets: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SNIPPET",
            autocompletion=completion.snippets_of_run,
            help="Where walkers start; several times for more. Default: what it was trained on.",
        ),
    ] = None,
    n_walkers: Annotated[int | None, typer.Option(min=1, help="Walkers of each kind; 16 if not set.")] = None,
    max_steps: Annotated[int, typer.Option(min=1, help="Control steps that a walker moves at most.")] = 300,
    correlation: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Of an embedding and the next in the prior; default: the policy's own."),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(min=0.0, help="Standard deviation of the prior; 1, as in training, if not set.")
    ] = None,
    always_init_at_clip_start: ClipStartOpt = False,
    video: VideoOpt = None,
    plot: Annotated[Path | None, plot_option("Draw the embeddings in two dimensions (PCA)")] = None,
    simulation: SimulationOptions,
    termination_error_threshold: TerminationErrorThresholdOpt = 0.3,
) -> None:
    """Let the decoder of a policy move walkers by embeddings alone, with no reference, until they fall.

    By default embeddings are drawn from the prior; beside them, from the same starts, walkers hold one drawn embedding
    or get zeros. With --interpolate they lie on the arc between the embeddings of two snippets, step by step.
    """
    of_the_prior = (snippets or None, n_walkers, correlation, scale, always_init_at_clip_start or None)
    if interpolate is not None and any(option is not None for option in of_the_prior):
        raise UsageError(
            "--interpolate chooses the starts and embeddings itself.",
            hint="Leave out --snippets, --n-walkers, --correlation, --scale and --always-init-at-clip-start.",
        )
    check_files(plot=plot, video=video)
    from mocapact_cli.core.evaluation.latent import LatentConfig

    config = LatentConfig(
        n_walkers=n_walkers or 16,
        max_steps=max_steps,
        correlation=correlation,
        scale=1.0 if scale is None else scale,
        always_init_at_clip_start=always_init_at_clip_start,
        termination_error_threshold=termination_error_threshold,
        **simulation.work(),
    )
    names = list(interpolate) if interpolate else snippets
    study = _study(policy, names, simulation, config, between=interpolate is not None, encode=plot is not None)
    _show(policy, study, video, plot)


def _study(
    path: Path,
    names: list[str] | None,
    simulation: SimulationOptions,
    config: LatentConfig,
    *,
    between: bool,
    encode: bool,
) -> LatentStudy:
    from mocapact_cli.core.evaluation.latent import study_between, study_prior
    from mocapact_cli.core.evaluation.policy import open_subjects
    from mocapact_cli.core.policies.low_level import embedding_policy

    opened, pairs = open_subjects(path, names, simulation.mocap, device=simulation.network_device())
    policy = embedding_policy(opened)
    if between:
        return study_between(policy, pairs[0], pairs[-1], config, progress=out.progress())
    return study_prior(policy, pairs, config, encode=encode, progress=out.progress())


def _show(policy: Path, study: LatentStudy, video: Path | None, plot: Path | None) -> None:
    from mocapact_cli.core.evaluation.latent_views import film_study, plot_study

    document: dict[str, Any] = {"policy": policy} | study.to_json()
    if plot is not None:
        document["plot"] = plot_study(study, plot)

    def show() -> None:
        up = [f"{row['kind']} {row['seconds']:.2f}" for row in document["groups"]]
        out.show(document, lambda: _human(document), short=up)

    for row in document["encoded"]:
        if row["early_termination"]:
            out.warn(f"The policy lost {row['snippet']} after {row['steps']} steps; its embeddings end there.")
    with shown_without_film(document, show):
        if video is not None:
            document["video"] = film_study(study, video, progress=out.progress())


def _human(document: dict[str, Any]) -> list[Any]:
    rows = document["groups"]
    columns = {name: heading for name, heading in _COLUMNS.items() if name in rows[0]}
    cells = [[_cell(name, row[name]) for name in columns] for row in rows]
    shown = table(list(columns.values()), cells, title=_title(document), numeric=list(columns.values())[1:])
    made = [(name.title(), document[name]) for name in ("plot", "video") if name in document]
    return [shown, facts(made)] if made else [shown]


def _title(document: dict[str, Any]) -> str:
    if document["mode"] == "interpolate":
        return f"From {document['from']} (A) to {document['to']} (B), started as A"
    return f"Prior of correlation {document['correlation']:g} and scale {document['scale']:g}"


def _cell(name: str, value: Any) -> str:
    if name == "kind":
        from mocapact_cli.core.evaluation.latent_views import shown_kind

        return shown_kind(value)
    if name == "fell":
        return f"{100.0 * value:.0f} %"
    return f"{value:d}" if isinstance(value, int) else f"{value:.2f}"
