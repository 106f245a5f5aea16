"""Settings of a training: one declaration for the line, the file and Python, and what --print-config makes of them."""

import dataclasses
import inspect
import json
import tomllib
from pathlib import Path
from typing import Annotated, get_args

import pytest

from mocapact_cli.cli import main, settings
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.config import to_dict
from mocapact_cli.core.config_docs import Declared
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout
from mocapact_cli.core.training.distillation import config as distillation
from mocapact_cli.core.training.expert import config as expert
from mocapact_cli.core.training.transfer import config as transfer


@pytest.fixture
def printed(tmp_path, fresh_out, capsys, monkeypatch):
    """Return a function that runs a training command with --print-config in this process: what it prints."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main.invoke([*map(str, arguments), "--print-config"])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return run


TRAININGS = [
    (("expert", "train", "demo_squat"), expert.resolve(None, None)),
    (
        ("expert", "train", "demo_squat", "--preset", "paper", "--seed", 3, "--max-minutes", 2, "--warm-start", "none"),
        expert.resolve("paper", None, seed=3, max_minutes=2.0, warm_start="none"),
    ),
    (
        ("expert", "train", "demo_squat", "--n-workers", 2, "--min-steps", 4, "--termination-error-threshold", 0.5),
        expert.resolve(None, None, threads=2, min_steps=4, termination_error_threshold=0.5),
    ),
    (
        ("transfer", "train", "--task", "velocity-control", "--low-level-policy", "p.ckpt", "--device", "cpu"),
        transfer.resolve(None, None, task="velocity-control", low_level_policy=Path("p.ckpt"), device="cpu"),
    ),
    (
        ("transfer", "train", "--preset", "paper", "--episode-steps", 50),
        transfer.resolve("paper", None, task_settings={"max_steps": 50}),
    ),
]


@pytest.mark.parametrize(("line", "wanted"), TRAININGS)
def test_what_is_printed_is_what_was_asked_for_and_reads_back_to_the_same(printed, tmp_path, line, wanted):
    text = printed(*line)
    assert tomllib.loads(text)["seed"] == wanted.seed
    (tmp_path / "printed.toml").write_text(text)
    module = expert if line[0] == "expert" else transfer
    assert module.resolve(None, tmp_path / "printed.toml") == wanted
    command = line[: 3 if line[0] == "expert" else 2]
    assert printed(*command, "--config", "printed.toml") == text


@pytest.mark.parametrize(
    "options", [(), ("--preset", "locomotion"), ("--model", "gpt", "--device", "cpu"), ("--split", "validation")]
)
def test_a_distillation_is_printed_with_its_network_and_needs_no_dataset(printed, tmp_path, options):
    text = printed("distill", "train", *options)
    (tmp_path / "printed.toml").write_text(text)
    given = dict(zip((name[2:] for name in options[::2]), options[1::2], strict=True))
    assert distillation.resolve(tmp_path / "printed.toml") == distillation.resolve(None, **given)
    assert printed("distill", "train", "--config", "printed.toml") == text


def test_the_line_wins_over_a_printed_file(printed, tmp_path):
    (tmp_path / "printed.toml").write_text(printed("transfer", "train", "--task", "velocity-control", "--seed", 4))
    again = tomllib.loads(printed("transfer", "train", "--config", "printed.toml", "--seed", 5))
    assert (again["task"], again["seed"]) == ("velocity-control", 5)


def test_a_file_decides_where_the_line_says_nothing(printed, tmp_path):
    (tmp_path / "some.toml").write_text('device = "cpu"\n')
    for line in (("distill", "train"), ("transfer", "train"), ("expert", "train", "demo_squat")):
        assert tomllib.loads(printed(*line, "--config", "some.toml"))["device"] == "cpu"


def test_as_json_it_is_one_document(printed):
    document = json.loads(printed("distill", "train", "--json"))
    settings = distillation.resolve(None)
    assert document == json.loads(json.dumps(to_dict(settings.training) | {"policy": to_dict(settings.policy)}))


def test_a_warm_start_is_printed_with_the_sizes_that_it_brings(printed, tmp_path):
    policy = ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(16, 8))
    snippet = Snippet("demo_reach", 0, 40)
    write_model(tmp_path / "source" / RSI_MODEL, policy)
    write_clip_info(tmp_path / "source", snippet, TIME_INDEX, ref_steps=[0])
    text = printed("expert", "train", "demo_squat", "--warm-start", "source")
    found = tomllib.loads(text)
    assert (found["layers"], found["warm_start"]) == ([16, 8], str(tmp_path / "source"))
    (tmp_path / "printed.toml").write_text(text)
    assert printed("expert", "train", "demo_squat", "--config", "printed.toml") == text


def record(root, **content):
    root.mkdir(parents=True)
    (root / "config.json").write_text(json.dumps(content))


def test_the_settings_of_a_run_that_would_go_on_are_its_own(printed, tmp_path):
    began = dataclasses.replace(expert.preset("paper"), layers=(8,), seed=2)
    record(tmp_path / "log/demo_squat-0-60/2", snippet="demo_squat-0-60", training=to_dict(began))
    line = ("expert", "train", "demo_squat-0-60", "--log-root", "log", "--seed", 2, "--resume", "--max-minutes", 7)
    assert expert.resolve(None, write(tmp_path, printed(*line))) == dataclasses.replace(began, max_minutes=7.0)

    task = transfer.resolve("paper", None, seed=1)
    record(tmp_path / "task/1", kind="transfer", training=to_dict(task))
    line = ("transfer", "train", "--log-root", "task", "--seed", 1, "--resume")
    assert transfer.resolve(None, write(tmp_path, printed(*line))) == task

    many = distillation.resolve(None, preset="locomotion", batch_size=4)
    described = {"model": "npmp", "config": to_dict(many.policy)}
    record(tmp_path / "policy", training=to_dict(many.training), policy=described)
    line = ("distill", "train", "--output-root", "policy", "--resume", "--max-steps", 9)
    found = distillation.resolve(write(tmp_path, printed(*line)))
    assert (found.policy, found.training.batch_size, found.training.max_steps) == (many.policy, 4, 9)


def write(folder, text):
    (folder / "printed.toml").write_text(text)
    return folder / "printed.toml"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("expert", "train", "demo_squat", "--total-timesteps", "0"), "total_timesteps is 0"),
        (("transfer", "train", "--max-minutes", "-1"), "max_minutes is -1"),
        (("distill", "train", "--weighting", "bcc", "--print-config"), "weighting cannot be 'bcc'"),
        (("distill", "train", "--seed", "x"), "--seed"),
        (("transfer", "train", "--task", "fly", "--print-config"), "'fly'"),
    ],
)
def test_impossible_settings_are_wrong_usage(mocapact, line, says):
    result = mocapact(*line)
    assert (result.code, result.stdout) == (2, "")
    assert says in result.stderr
    assert len(result.stderr.splitlines()) <= 2


def option(annotation, doc="What it is.", name="some_thing"):
    made = settings._option(Declared(name, annotation, doc))
    type_, typer_option = get_args(made.annotation)
    assert made.default is None
    # As Typer reads an option that stands in an annotation.
    return get_args(type_)[0], typer_option, (typer_option.default, *typer_option.param_decls)


@pytest.mark.parametrize(
    ("annotation", "type_", "metavar"),
    [
        ("int", int, None),
        ("float | None", float, None),
        ("Path | None", Path, None),
        ("Literal['a', 'b']", str, "a|b"),
        ("Literal['auto'] | bool", str, None),
    ],
)
def test_an_option_has_the_type_of_its_field(annotation, type_, metavar):
    found, made, names = option(annotation)
    assert (found, made.metavar, names) == (type_, metavar, ("--some-thing",))


def test_a_switch_can_be_switched_off():
    found, _, names = option("bool")
    assert (found, names) == (bool, ("--some-thing/--no-some-thing",))


@pytest.mark.parametrize(
    ("doc", "help_"),
    [
        ("Minutes; None for no limit.", "Minutes; by default no limit."),
        ("A policy; None: the joints.", "A policy; by default the joints."),
        ("Plain.", "Plain."),
    ],
)
def test_the_help_is_the_docstring(doc, help_):
    assert option("int", doc)[1].help == help_


def test_a_command_gets_what_the_line_says_in_one_argument():
    seen = {}

    @settings.with_settings("mocapact_cli.core.training.expert.config:ExpertConfig", "seed", "max_minutes")
    def command(clip: Annotated[str, "x"], *, settings: settings.Given, force: bool = False) -> None:
        seen.update(settings, clip=clip, force=force)

    assert list(inspect.signature(command).parameters) == ["clip", "seed", "max_minutes", "force"]
    command(clip="walk", seed=3, max_minutes=None, force=True)
    assert seen == {"clip": "walk", "seed": 3, "max_minutes": None, "force": True}
