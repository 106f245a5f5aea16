"""How commands are declared: groups that load on use, and the options and help that every command has.

A command module declares `app = Commands("help of the group")` (a noun with verbs) or `app = Commands()` (one verb),
and registers functions with `@app.command(...)`. Every command gets `--json`, `--quiet` and its examples in the help;
its parameters that are dataclasses become the options that `bundles` makes of them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
import typer.core

from mocapact_cli.cli.bundles import with_bundles
from mocapact_cli.cli.help import print_help
from mocapact_cli.cli.options import JsonOpt, QuietOpt
from mocapact_cli.cli.output import out
from mocapact_cli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Function = Callable[..., None]


class Command(typer.core.TyperCommand):
    """A command with the help of `mocapact_cli.cli.help`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature is Typer's
        """Print the help."""
        print_help(out.stdout, self, ctx)


class Group(typer.core.TyperGroup):
    """A group with that help, which it also shows when it is called bare."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature is Typer's
        """Print the help."""
        print_help(out.stdout, self, ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read a bare call as a call for help."""
        asks_for_help = not args and not ctx.resilient_parsing
        return super().parse_args(ctx, ["--help"] if asks_for_help else args)


class Commands:
    """The commands of one module.

    Args:
        help: Help of the group; without it the module holds a single command, which takes the module's place.
    """

    def __init__(self, help: str = "") -> None:  # noqa: A002 - Typer's own word for it
        self.typer = typer.Typer(
            cls=Group,
            help=help,
            add_completion=False,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
        )
        if help:
            self.typer.callback()(_nothing)

    def command(
        self, name: str | None = None, *, examples: Sequence[str], panel: str | None = None
    ) -> Callable[[Function], Function]:
        """Register a function as a command; its docstring is the help.

        Args:
            name: The command's name; the function's own name where left out.
            examples: Complete command lines, shown below the help.
            panel: Heading under which the group's help lists the command.
        """

        def register(function: Function) -> Function:
            decorate = self.typer.command(name, cls=Command, epilog="\n".join(examples), rich_help_panel=panel)
            decorate(_with_output_options(with_bundles(function)))
            return function

        return register


@dataclass(frozen=True)
class LazyCommand:
    """What the top-level help needs to know of a command without importing it.

    Attributes:
        name: As typed by the user; the module `mocapact_cli.cli.<name>` holds its `app`.
        help: One line for the list of commands.
        panel: Heading under which it is listed.
    """

    name: str
    help: str
    panel: str

    def placeholder(self) -> typer.core.TyperCommand:
        """Return a stand-in that carries the name and the help line only."""
        return typer.core.TyperCommand(self.name, help=self.help, rich_help_panel=self.panel)

    def load(self) -> Any:
        """Import the command's module and return the real command."""
        module = importlib.import_module(f"mocapact_cli.cli.{self.name.replace('-', '_')}")
        return typer.main.get_command(module.app.typer)


def lazy_group(commands: Sequence[LazyCommand]) -> type[Group]:
    """Return a group class whose commands are imported only when they are invoked."""
    table = {command.name: command for command in commands}

    class LazyGroup(Group):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            for name, command in table.items():
                self.add_command(command.placeholder(), name)

        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
            name, placeholder, rest = super().resolve_command(ctx, args)
            return name, table[name].load() if name in table else placeholder, rest

    return LazyGroup


def _nothing() -> None:
    """Make Typer keep a group of one command a group."""


def _with_output_options(function: Function) -> Function:
    """Add `--json` and `--quiet` to a command and apply them before it runs."""

    @functools.wraps(function)
    def run(*args: Any, output_json: bool = False, quiet: bool = False, **options: Any) -> None:
        out.configure(json=output_json, quiet=quiet)
        if options.get("resume") and options.get("force"):
            raise UsageError(
                "--resume and --force contradict each other.",
                hint="--resume goes on with what is there, --force replaces it: leave one out.",
            )
        function(*args, **options)

    signature = inspect.signature(function, eval_str=True)
    extra = [
        inspect.Parameter("output_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JsonOpt),
        inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=QuietOpt),
    ]
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *extra])  # type: ignore[attr-defined]
    return run
