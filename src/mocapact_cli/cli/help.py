"""The help of commands and groups, in grouped panels.

Typer's own help would serve, but it imports a Markdown parser and a syntax highlighter for it, which doubles the time
that `mocapact --help` takes.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from mocapact_cli.cli.output import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    Row = tuple[str, str]

ARGUMENTS, OPTIONS, COMMANDS = "Arguments", "Options", "Commands"
EXAMPLES = "Examples"
WIDTH = 100
"""Columns of the help at most; and exactly, where it goes into a file or a pipe."""


def print_help(console: Console, command: Any, context: Any) -> None:
    """Print a command's usage, description, panels of arguments, options and subcommands, and its examples.

    Args:
        console: Where to.
        command: Typer's command or group.
        context: Its context, which knows the words typed before it.
    """
    console.width = min(console.width, WIDTH)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    console.print(f"[bold]Usage:[/bold] {escaped(usage)}\n", highlight=False)
    console.print(escaped(_paragraphs(command.help or "")) + "\n", highlight=False)
    for title, rows in _panels(command, context).items():
        _print_panel(console, title, rows)
    if command.epilog:
        console.print(f"[bold]{EXAMPLES}[/bold]", highlight=False)
        for line in command.epilog.splitlines():
            console.print(f"  [cyan]{escaped(line)}[/cyan]", highlight=False, soft_wrap=True)


def _panels(command: Any, context: Any) -> dict[str, list[Row]]:
    """Return the rows of every panel: arguments, the command's own options, shared options, then subcommands."""
    panels: dict[str, list[Row]] = {ARGUMENTS: [], OPTIONS: []}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record:
            default = ARGUMENTS if parameter.param_type_name == "argument" else OPTIONS
            name, text = record
            title = getattr(parameter, "rich_help_panel", None) or default
            panels.setdefault(title, []).append((_tidy(name), text))
    for name, subcommand in _subcommands(command, context):
        title = getattr(subcommand, "rich_help_panel", None) or COMMANDS
        panels.setdefault(title, []).append((name, _first_paragraph(subcommand.help or "")))
    return {title: rows for title, rows in panels.items() if rows}


def _subcommands(command: Any, context: Any) -> Iterable[tuple[str, Any]]:
    if hasattr(command, "list_commands"):
        for name in command.list_commands(context):
            yield name, command.get_command(context, name)


def _print_panel(console: Console, title: str, rows: Sequence[Row]) -> None:
    from rich.panel import Panel
    from rich.table import Table

    grid = Table.grid(padding=(0, 2), expand=True)
    # Long option names may fold, so that their explanations keep the larger half of the line.
    grid.add_column(style="cyan", max_width=console.width * 2 // 5, overflow="fold")
    grid.add_column(ratio=1, overflow="fold")
    for name, text in rows:
        grid.add_row(escaped(name), escaped(text))
    console.print(Panel(grid, title=title, title_align="left", border_style="dim"))


def _tidy(name: str) -> str:
    """Drop the type of a switch, which takes no value, and what Typer's names of types say twice."""
    return re.sub(r"<list\[(\w+)\]>", r"<\1>", name.removesuffix(" <bool>").replace(" range>", ">"))


def _paragraphs(text: str) -> str:
    """Join the lines of each paragraph of a docstring."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", inspect.cleandoc(text)))


def _first_paragraph(text: str) -> str:
    return _paragraphs(text).split("\n", maxsplit=1)[0]
