"""Options that are declared together reach a command as one argument."""

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.bundles import with_bundles
from mocapact_cli.cli.options import RecordingOptions
from mocapact_cli.core.errors import UsageError


@dataclass(frozen=True)
class Size:
    """How large a thing is."""

    width: Annotated[int, typer.Option("--width", min=1, help="Pixels.")] = 3
    height: Annotated[int, typer.Option("--height", min=1, help="Pixels.")] = 4


@dataclass(frozen=True)
class Tall(Size):
    height: Annotated[int, typer.Option("--height", min=1, help="Pixels.")] = 40


@pytest.fixture
def made():
    """Return a function that calls a command with one bundle: what arrives in it."""

    def call(bundle, *line):
        seen = []
        app = Commands()

        @app.command(examples=["mocapact make"])
        def make(name: str, *, size: bundle, fast: bool = False) -> None:
            """Make a thing."""
            seen.append((name, size, fast))

        typer.main.get_command(app.typer).main([*line], prog_name="make", standalone_mode=False)
        return seen[0]

    return call


def test_a_bundle_arrives_filled_from_the_line(made):
    assert made(Size, "box", "--height", "9", "--fast") == ("box", Size(3, 9), True)


def test_what_the_line_leaves_out_has_the_default_of_the_class_that_the_command_names(made):
    assert made(Size, "box")[1] == Size(3, 4)
    assert made(Tall, "box")[1] == Tall(3, 40)


def test_its_options_stand_where_the_parameter_stood():
    def make(name: str, *, size: Size, fast: bool = False) -> None: ...

    assert list(inspect.signature(with_bundles(make)).parameters) == ["name", "width", "height", "fast"]


def test_a_command_without_bundles_is_left_as_it_is():
    def make(name: str) -> None: ...

    assert with_bundles(make) is make


def test_what_is_recorded_goes_into_the_configuration_by_name():
    options = RecordingOptions(n_start_rollouts=3, ref_steps="2,1", min_steps=7, log_cameras=True)
    config = options.config(seed=5, num_envs=8)
    assert (config.n_start_rollouts, config.n_rsi_rollouts, config.min_steps) == (3, 10, 7)
    assert (config.ref_steps, config.log_cameras, config.seed, config.num_envs) == ((1, 2), True, 5, 8)
    with pytest.raises(UsageError, match="--ref-steps"):
        RecordingOptions(ref_steps="1,x").config()
