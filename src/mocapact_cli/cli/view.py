"""`mocapact view`: look at motions in the browser."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli import completion
from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.options import DeviceOpt, MocapOpt, PromptOptions, SeedOpt, TerminationErrorThresholdOpt
from mocapact_cli.cli.output import facts, out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.viewer.server import View

app = Commands()

PAGE, ACTING = "Page", "Policies"


@app.command(
    "view",
    examples=[
        "mocapact view demo_walk",
        "mocapact view dataset/CMU_016_22.hdf5 --snippet CMU_016_22-0-82 --episode 3",
        "mocapact view experts/CMU_016_22-0-82 --act-noise 0.1",
        "mocapact view policy --snippet CMU_016_22-0-82 --snippet CMU_049_18 --mocap cmu_2020.h5",
        "mocapact view gpt --experts experts --prompt-length 32",
        "mocapact view 07_01.amc --port 9000 --no-open",
    ],
)
def view(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE|DIR|ID",
            autocompletion=completion.clips_and_snippets,
            help="Clips, an .amc recording, rollouts, experts or a policy; or the name of a clip or snippet.",
        ),
    ],
    *,
    snippet: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SNIPPET",
            autocompletion=completion.clips_and_snippets,
            help="What is shown first; several times: all that a policy for many clips is to track.",
        ),
    ] = None,
    episode: Annotated[int, typer.Option(min=0, help="Number of the recorded episode that is shown first.")] = 0,
    mocap: MocapOpt = None,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 lets other machines in.", rich_help_panel=PAGE),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="The port; by default the next free one from 8080 on.", rich_help_panel=PAGE
        ),
    ] = None,
    open_browser: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open",
            help="Open the browser, or do not; by default it is opened where there is a screen.",
            rich_help_panel=PAGE,
        ),
    ] = None,
    start_step: Annotated[
        int | None,
        typer.Option(min=0, help="Step of the clip at which a policy begins.", rich_help_panel=ACTING),
    ] = None,
    act_noise: Annotated[
        float,
        typer.Option(min=0.0, help="Standard deviation of noise on the actions.", rich_help_panel=ACTING),
    ] = 0.0,
    prompting: PromptOptions,
    seed: SeedOpt = 0,
    device: DeviceOpt = "auto",
    termination_error_threshold: TerminationErrorThresholdOpt = 0.3,
) -> None:
    """Look at it in 3D in the browser: play, pause, scrub, beside its reference; experts and policies act live.

    Ctrl-C ends it. Where a GPT has nobody to prompt it, the controller pd-gravity of `expert eval` does.
    """
    from mocapact_cli.core.viewer.server import check_viser, serve

    check_viser()
    _hush_viser()

    from mocapact_cli.core.policies.device import choose_device
    from mocapact_cli.core.viewer.live_sources import Acting
    from mocapact_cli.core.viewer.opening import Wish, open_source

    acting = Acting(
        start_step=start_step,
        act_noise=act_noise,
        seed=seed,
        device=choose_device(device),
        threshold=termination_error_threshold,
        prompt_length=prompting.prompt_length,
        max_steps=prompting.max_steps,
    )
    wish = Wish(tuple(mocap or ()), tuple(snippet or ()), episode, acting, prompting.experts, prompting.prompt_policy)
    source = open_source(target, wish)
    given = {
        "--episode": episode > 0,
        "--start-step": start_step is not None,
        "--act-noise": act_noise > 0.0,
        "--experts": prompting.experts is not None,
        "--prompt-policy": prompting.prompt_policy is not None,
    }
    _warn_of_idle(source.kind, [name for name, is_given in given.items() if is_given])
    with serve(source, host=host, port=port) as page:
        # From the moment that it is announced, Ctrl-C is how the page is closed.
        try:
            _announce(page)
            _open_browser(page.url, wanted=open_browser)
            page.run()
        except KeyboardInterrupt:
            # Closing takes a moment, and a second Ctrl-C asks for nothing else.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            out.message("Closed.")


_USED_BY = {
    "--episode": ("rollouts",),
    "--start-step": ("policy", "expert", "completion"),
    "--act-noise": ("policy", "expert", "completion", "task"),
    "--experts": ("completion",),
    "--prompt-policy": ("completion",),
}
"""Options that do something only where things of some kinds are shown."""


def _warn_of_idle(kind: str, given: Sequence[str]) -> None:
    idle = [name for name in given if kind not in _USED_BY[name]]
    if idle:
        verb = "changes" if len(idle) == 1 else "change"
        out.warn(f"{', '.join(idle)} {verb} nothing here: what is shown is of the kind {kind}.")


def _hush_viser() -> None:
    """Keep viser from announcing itself on stdout, through Rich's own console."""
    import rich

    rich.reconfigure(quiet=True)


def _announce(page: View) -> None:
    document = page.described()
    if page.exposed:
        out.warn("Whoever can reach this machine can open this page and use its controls; there is no password.")
    out.show(document, lambda: [facts(_shown(document)), "Ctrl-C ends it."], short=page.url)


def _shown(document: dict[str, Any]) -> Sequence[tuple[str, Any]]:
    motions = document["motions"]
    more = f" (one of {motions:,})" if motions > 1 else ""
    return [("Page", document["url"]), (document["kind"].capitalize(), document["shown"]["motion"] + more)]


def _open_browser(url: str, *, wanted: bool | None) -> None:
    import webbrowser

    if wanted or (wanted is None and _has_screen()):
        webbrowser.open(url)


def _has_screen() -> bool:
    """Whether a browser would be seen; elsewhere one in the terminal would take the place of this program."""
    import os
    import sys

    if not sys.stdout.isatty():
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
