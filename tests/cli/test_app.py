import json
from typing import Annotated

import pytest
import typer

from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.output import out
from mocapact_cli.core.errors import UsageError


@pytest.fixture
def group(fresh_out):
    app = Commands("Things.")

    @app.command("show", examples=["mocapact things show one"])
    def show(name: str, size: Annotated[int, typer.Option("--size", min=1, help="How big.")] = 3) -> None:
        """Show a thing."""
        out.show({"name": name, "size": size}, f"{name} is {size}", short=name)

    return typer.main.get_command(app.typer)


def call(command, *arguments):
    return command.main(list(arguments), prog_name="mocapact things", standalone_mode=False)


def test_a_group_with_one_command_stays_a_group(group):
    assert list(group.commands) == ["show"]


def test_a_command_gets_json(group, capsys):
    call(group, "show", "one", "--json")
    assert json.loads(capsys.readouterr().out) == {"name": "one", "size": 3}


@pytest.mark.parametrize("flag", ["--quiet", "-q"])
def test_a_command_gets_quiet(group, capsys, flag):
    call(group, "show", "one", flag)
    assert capsys.readouterr().out == "one\n"


def test_arguments_and_options_arrive(group, capsys):
    call(group, "show", "one", "--size", "5")
    assert capsys.readouterr().out == "one is 5\n"


def test_a_value_out_of_range_is_a_usage_error(group):
    with pytest.raises(typer.TyperException) as caught:
        call(group, "show", "one", "--size", "0")
    assert caught.value.exit_code == 2


def test_the_help_shows_docstring_examples_and_panels(group, capsys):
    call(group, "show", "--help")
    shown = capsys.readouterr().out
    for words in ("Show a thing.", "mocapact things show one", "Output", "--json", "How big."):
        assert words in shown


def test_a_bare_group_shows_its_help(group, capsys):
    call(group)
    assert "Show a thing." in capsys.readouterr().out


def test_commands_without_a_group_help_are_one_command(fresh_out, capsys):
    app = Commands()

    @app.command(examples=["mocapact inspect FILE"])
    def inspect(path: str) -> None:
        """Say what it is."""
        out.show({}, path)

    command = typer.main.get_command(app.typer)
    call(command, "a.h5")
    assert capsys.readouterr().out == "a.h5\n"


def test_to_go_on_and_to_replace_contradict_each_other(fresh_out):
    app = Commands("Runs.")

    @app.command("train", examples=["mocapact runs train"])
    def train(resume: Annotated[bool, typer.Option()] = False, force: Annotated[bool, typer.Option()] = False) -> None:
        """Train."""
        out.show({}, f"{resume} {force}")

    command = typer.main.get_command(app.typer)
    call(command, "train", "--resume")
    call(command, "train", "--force")
    with pytest.raises(UsageError, match="contradict"):
        call(command, "train", "--resume", "--force")
