import io
import re
from typing import Annotated

import pytest
import typer
from rich.console import Console

from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.help import print_help


@pytest.fixture
def shown():
    app = Commands("Things [of all kinds].\n\nMore about\nthem.")

    @app.command("make", examples=["mocapact things make [one] -o a.h5", "mocapact things make two"])
    def make(
        name: Annotated[str, typer.Argument(help="What to make.")],
        size: Annotated[int, typer.Option("--size", min=1, help="How big.", rich_help_panel="Shape")] = 3,
        fast: Annotated[bool, typer.Option("--fast", help="Hurry.")] = False,
    ) -> None:
        """Make a thing.

        It takes
        a while.
        """

    group = typer.main.get_command(app.typer)

    def show(command, width=100):
        log = io.StringIO()
        context = command.make_context("mocapact things", [], resilient_parsing=True)
        print_help(Console(file=log, width=width), command, context)
        return log.getvalue()

    return lambda name="", **options: show(group.commands[name] if name else group, **options)


def test_a_group_lists_its_commands_by_their_first_paragraph(shown):
    text = shown()
    assert "Things [of all kinds].\n\nMore about them.\n" in text
    assert re.search(r"make +Make a thing\. +│", text)


def test_a_command_shows_usage_paragraphs_panels_and_examples(shown):
    text = shown("make")
    assert text.startswith("Usage: mocapact things [OPTIONS]")
    assert "Make a thing.\n\nIt takes a while.\n" in text
    for words in ("─ Arguments ─", "─ Options ─", "─ Shape ─", "─ Output ─", "What to make.", "default: 3"):
        assert words in text
    assert text.endswith("Examples\n  mocapact things make [one] -o a.h5\n  mocapact things make two\n")


def test_a_switch_shows_no_type_and_a_number_a_plain_one(shown):
    assert re.search(r"--fast +Hurry", shown("make"))
    assert re.search(r"--size <int> +How", shown("make"))


@pytest.mark.parametrize("width", [40, 80, 300])
def test_the_help_fits_the_terminal(shown, width):
    lines = shown("make", width=width).split("Examples")[0].splitlines()
    assert max(len(line) for line in lines) <= min(width, 100)
