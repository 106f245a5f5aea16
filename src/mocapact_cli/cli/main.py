"""The entry point: registers the commands and turns every failure into one message and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, Annotated

import typer

import mocapact_cli
from mocapact_cli.cli.app import LazyCommand, lazy_group
from mocapact_cli.cli.completion import is_completing
from mocapact_cli.cli.errors import EXIT_FAILED, EXIT_INTERRUPTED, Failure, describe, interrupted
from mocapact_cli.cli.output import out
from mocapact_cli.core.media.gl import defer_gl

if TYPE_CHECKING:
    from collections.abc import Sequence

START, DATA, LEARN, TOOLS = "Start here", "Motion and data", "Policies", "Tools"

COMMANDS = (
    LazyCommand("quickstart", "Train, evaluate and film an expert, from a built-in clip or your recording.", START),
    LazyCommand("download", "Get the published experts, datasets, policies and reference motion.", DATA),
    LazyCommand("clips", "List, show, fetch, import and film motion-capture clips.", DATA),
    LazyCommand("expert", "Train and evaluate a policy that tracks one snippet.", LEARN),
    LazyCommand("distill", "Train and evaluate one policy for many clips.", LEARN),
    LazyCommand("transfer", "Train and evaluate a policy for a task, with or without learned motor skills.", LEARN),
    LazyCommand("complete", "Let a GPT go on from a prompt, beyond the end of its clip.", LEARN),
    LazyCommand("rollout", "Run experts and record their episodes as a dataset.", LEARN),
    LazyCommand("fleet", "Train, roll out and evaluate many experts, on one machine or on many.", LEARN),
    LazyCommand("inspect", "Say what a file or folder holds, and whether it is sound.", DATA),
    LazyCommand("view", "Look at clips, rollouts and policies in 3D in the browser; policies act live.", DATA),
    LazyCommand(
        "export", "Merge, split and subset rollouts; turn them, or policies, into what other libraries read.", DATA
    ),
    LazyCommand("push", "Publish an expert, a policy or a dataset on Hugging Face.", DATA),
    LazyCommand("doctor", "Look at the installation and the machine, and say what to do about problems.", TOOLS),
    LazyCommand("bench", "Measure this machine against the original's way of working.", TOOLS),
)

app = typer.Typer(
    name="mocapact",
    cls=lazy_group(COMMANDS),
    help="Motion capture in, controllable humanoids out.",
    epilog="mocapact quickstart\nmocapact clips list",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mocapact {mocapact_cli.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Motion capture in, controllable humanoids out."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    # NumPy's products are small here. On several threads some processors give other last digits, so that what comes out
    # would depend on the number of cores, and a fleet's jobs, of one core each, would differ from single ones.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(invoke(sys.argv[1:] if arguments is None else list(arguments)))


def invoke(arguments: list[str]) -> int:
    """Run one command line and return the exit code; whatever goes wrong is reported here and nowhere else."""
    out.configure(json="--json" in arguments, quiet=False)
    defer_gl()
    try:
        result = typer.main.get_command(app).main(arguments, prog_name="mocapact", standalone_mode=False)
    except KeyboardInterrupt:
        return _report(interrupted())
    except Exception as error:  # noqa: BLE001 - the boundary
        if is_completing() and not os.environ.get("MOCAPACT_DEBUG"):
            return EXIT_FAILED
        if os.environ.get("MOCAPACT_DEBUG"):
            sys.stderr.write(_redacted(traceback.format_exc()))
        return _report(describe(error))
    if result == EXIT_INTERRUPTED:
        # Typer swallows Ctrl-C and only returns its exit code.
        return _report(interrupted())
    return result if isinstance(result, int) else 0


def _redacted(text: str) -> str:
    """Hide signatures and tokens: an argument that is repeated, or a library's message, may be an address with one."""
    from mocapact_cli.core.remote.secrets import redact

    return redact(text)


def _report(failure: Failure) -> int:
    out.error(failure.kind, _redacted(failure.message), _redacted(failure.hint))
    return failure.exit_code


if __name__ == "__main__":
    run()
