"""`mocapact complete`: a GPT goes on from a prompt, beyond the end of its clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli import completion
from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.evaluations import check_files, shown_without_film
from mocapact_cli.cli.expert_eval_view import evaluation_table
from mocapact_cli.cli.options import (
    PROMPTS,
    ClipStartOpt,
    PolicyArg,
    PromptOptions,
    SimulationOptions,
    TerminationErrorThresholdOpt,
    plot_option,
)
from mocapact_cli.cli.output import facts, out, table
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mocapact_cli.core.evaluation.completion import Completion
    from mocapact_cli.core.evaluation.prompts import Prompt
    from mocapact_cli.core.policies.base import Policy

app = Commands()

DEVIATION = 0.01
"""Radians by which a repeated recording may differ from what was recorded without a warning."""
SAMPLE_NOISE = 0.1
"""Noise on the actions of samples, which would be alike without; that of recorded rollouts."""
_SHOWN_SECONDS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0)


_ClipSnippet = Annotated[
    str | None,
    typer.Option(
        metavar="SNIPPET",
        autocompletion=completion.snippets_of_run,
        help="Snippet or clip that prompts are taken from; --prompt says it itself.",
        rich_help_panel=PROMPTS,
    ),
]
_Baseline = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME|POLICY",
        autocompletion=completion.words("last-action", "prompt"),
        help="Also in the same episodes: last-action (the prompt's last one again and again), prompt (who gave it "
        "goes on, its reference standing still from the prompt's end) or a policy, in the same way; may be given "
        "several times.",
    ),
]


@app.command(
    "complete",
    examples=[
        "mocapact complete gpt --clip-snippet CMU_016_22-0-82 --experts experts --mocap cmu_2020.h5",
        "mocapact complete gpt --clip-snippet CMU_016_22 --experts experts --baseline last-action --plot survival.png",
        "mocapact complete gpt --clip-snippet CMU_016_22 --prompt-policy policy --baseline prompt --json",
        "mocapact complete gpt --prompt dataset/CMU_016_22.hdf5#CMU_016_22-0-82/0 --samples 6 --video samples.mp4",
    ],
)
def complete(
    policy: PolicyArg,
    *,
    clip_snippet: _ClipSnippet = None,
    prompt: Annotated[
        str | None,
        typer.Option(metavar="FILE#SNIPPET/EPISODE", help="Prompt it by a recorded episode.", rich_help_panel=PROMPTS),
    ] = None,
    prompting: PromptOptions,
    n_eval_episodes: Annotated[
        int | None,
        typer.Option(min=1, help="Episodes, from random steps. Default: 100, but one where all would be alike."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, max=25, help="Go on so many times from one and the same prompt.")
    ] = None,
    always_init_at_clip_start: ClipStartOpt = False,
    act_noise: Annotated[
        float | None,
        typer.Option(
            min=0.0, help=f"Standard deviation of noise on the actions after the prompt; {SAMPLE_NOISE} for --samples."
        ),
    ] = None,
    stochastic: Annotated[bool, typer.Option("--stochastic", help="Keep the GPT's dropout on.")] = False,
    baseline: _Baseline = None,
    video: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also film the first episode beside its reference, or all samples: .mp4, .gif or .png (strips of "
            "frames).",
        ),
    ] = None,
    plot: Annotated[Path | None, plot_option("Draw survival after the prompt")] = None,
    simulation: SimulationOptions,
    termination_error_threshold: TerminationErrorThresholdOpt = 0.3,
) -> None:
    """Let a GPT go on from a prompt: it sees what an expert does for a while, then acts itself, beyond the clip's end.

    An episode fails when anything but the feet touches the floor while the walker is far from its reference, which
    stands still at the clip's end. Scores are of the part inside the clip.
    """
    _check(samples, n_eval_episodes, plot, video)

    from mocapact_cli.core.evaluation.completion import CompletionConfig, default_episodes
    from mocapact_cli.core.evaluation.completion import complete as run
    from mocapact_cli.core.evaluation.policy import policy_file
    from mocapact_cli.core.evaluation.prompts import PromptRequest, check_completer
    from mocapact_cli.core.interop.policies import load_policy

    request = PromptRequest(clip_snippet, prompting.experts, prompting.prompt_policy, prompt)
    device = simulation.network_device()
    opened = load_policy(policy, device=device)
    check_completer(opened, str(policy))
    given = request.open(simulation.mocap, device=device)
    given.starts(prompting.prompt_length)
    noise = act_noise if act_noise is not None else 0.0 if samples is None or stochastic else SAMPLE_NOISE
    config = CompletionConfig(
        samples=samples is not None,
        prompt_length=prompting.prompt_length,
        max_steps=prompting.max_steps,
        always_init_at_clip_start=always_init_at_clip_start,
        act_noise=noise,
        stochastic=stochastic,
        termination_error_threshold=termination_error_threshold,
        **simulation.work(),
    )
    episodes = samples or n_eval_episodes or default_episodes(given, config)
    result = run(
        opened,
        [given],
        replace(config, n_eval_episodes=episodes),
        baselines=_baselines(baseline or (), given, device),
        filmed=range(samples or 1) if video else (),
        progress=out.progress(),
    )
    said = {"policy": policy_file(policy), "prompt": given.source}
    _finish(result, said, f"{policy.name} from {given.within}", plot, video)


def _finish(result: Completion, said: Mapping[str, Any], title: str, plot: Path | None, video: Path | None) -> None:
    """Draw and show what came out, and film it."""
    from mocapact_cli.core.evaluation.completion_views import film_completion, plot_survival

    document: dict[str, Any] = {**said} | result.to_json()
    if plot is not None:
        document["plot"] = plot_survival(result, plot, name="policy", title=title)
    _warn_of_deviation(result.deviation)
    with shown_without_film(document, lambda: _show(document)):
        if video is not None:
            document["video"] = film_completion(result, video, progress=out.progress())


def _check(samples: int | None, episodes: int | None, plot: Path | None, video: Path | None) -> None:
    if samples is not None and episodes is not None:
        raise UsageError("--samples are the episodes.", hint="Leave out --n-eval-episodes.")
    check_files(plot=plot, video=video)


def _warn_of_deviation(radians: float | None) -> None:
    if radians is not None and radians > DEVIATION:
        out.warn(
            f"The repeated prompt ends {radians:.3f} rad from what was recorded: it was recorded with another "
            "reference motion or another MuJoCo."
        )


def _baselines(names: Sequence[str], prompt: Prompt, device: str) -> dict[str, Policy | None]:
    """Name -> who goes on; None for whoever repeats the prompt's last action."""
    from mocapact_cli.core.evaluation.completion import LAST_ACTION, PROMPTER
    from mocapact_cli.core.evaluation.prompts import check_sight
    from mocapact_cli.core.interop.policies import load_policy

    found: dict[str, Policy | None] = {}
    for name in dict.fromkeys(names):
        if name == LAST_ACTION:
            found[name] = None
        elif name == PROMPTER:
            if prompt.policy is None:
                raise UsageError("Nobody acts in a recorded prompt.", hint="Give a policy as --baseline.")
            found[name] = prompt.policy
        elif not Path(name).exists():
            raise UsageError(
                f"There is no baseline {name!r}.", hint=f"Give {LAST_ACTION}, {PROMPTER} or the path of a policy."
            )
        else:
            found[name] = policy = load_policy(name, device=device)
            check_sight(policy, name)
    return found


def _show(document: Mapping[str, Any]) -> None:
    def human() -> list[Any]:
        files = [(label, document[key]) for key, label in (("plot", "Plot"), ("video", "Video")) if key in document]
        prompt = document["prompt"]
        said = [
            ("Policy", document["policy"]),
            ("Prompt", f"{document['prompt_length']} steps of {prompt['snippet']} by {prompt['path']}"),
            ("Below", f"{counted(document['episodes'], 'completion')} and the share of them that is still up"),
        ]
        inside = evaluation_table("Inside the clip", document, "Policy")
        return [facts(said), _survival_table(document), inside, *([facts(files)] if files else [])]

    out.show(document, human, short=f"{document['seconds_after_prompt']['median']:.2f}")


def _survival_table(document: Mapping[str, Any]) -> Any:
    rows: dict[str, Mapping[str, Any]] = {"policy": document, **document.get("baselines", {})}
    last = document["survival"][-1][0]
    times = _told([time for time in _SHOWN_SECONDS if time <= last + 1e-9], [one["survival"] for one in rows.values()])
    headings = ["Goes on", "Seconds (median)", "Distance (m)", *(f"{time:g} s" for time in times)]
    cells = [
        [
            name,
            f"{one['seconds_after_prompt']['median']:.2f}",
            f"{one['distance_m']['median']:.2f}",
            *(f"{100.0 * share_at(one['survival'], time):.0f} %" for time in times),
        ]
        for name, one in rows.items()
    ]
    return table(headings, cells, numeric=headings[1:])


def _told(times: Sequence[float], survivals: Sequence[Sequence[Sequence[float]]]) -> list[float]:
    """Return the times up to the first by which nobody goes on."""
    going_on = [any(share_at(survival, time) > 0 for survival in survivals) for time in times]
    return [time for number, time in enumerate(times) if all(going_on[:number])]


def share_at(survival: Sequence[Sequence[float]], time: float) -> float:
    """Return the share at a time of a curve whose steps are [time, share from then on]."""
    return next(share for begin, share in reversed(survival) if begin <= time + 1e-9)
