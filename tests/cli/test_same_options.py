"""An option means the same in every command: one help, one type and one default, unless the exception is listed."""

import re
from collections import defaultdict

import pytest

from mocapact_cli.cli.main import COMMANDS


def leaves(command, path):
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, below in command.commands.items():
        yield from leaves(below, f"{path} {name}")


LEAVES = dict(leaf for entry in COMMANDS for leaf in leaves(entry.load(), entry.name))


def options():
    """Name of each option -> command -> the option."""
    found = defaultdict(dict)
    for path, command in LEAVES.items():
        for option in command.params:
            if option.param_type_name == "option":
                for name in (name for name in option.opts if name.startswith("--")):
                    found[name][path] = option
    return found


OPTIONS = options()


def meaning(text):
    """What a help says before limits, exceptions and defaults, in which commands may differ."""
    return re.split(r"[;:(]|\. |, at most| by default", text.rstrip("."))[0].strip()


MEANINGS = {
    # A word for its place: each command says what it writes, draws, films or shows there.
    "--output": 7,
    "--log-root": 2,
    "--plot": 5,
    "--video": 3,
    "--dry-run": 2,
    # Numbers of what the command counts.
    "--max-steps": 4,
    "--start-step": 2,
    "--n-eval-episodes": 5,
    "--jobs": 2,
    # A training has episodes and threads of its own beside those of its evaluations.
    "--min-steps": 2,
    "--termination-error-threshold": 2,
    "--threads": 2,
    "--n-workers": 2,
    # What fails: an expert, or a policy on one snippet.
    "--norm-length": 2,
    # Who can be compared with depends on what is done.
    "--baseline": 3,
    # Recipes of reinforcement learning, and of distillation.
    "--preset": 2,
    # The paper's split is learned from, or cut along.
    "--split": 2,
    # What is random in a policy depends on its kind.
    "--stochastic": 2,
    # To do, or done.
    "--task": 2,
    # A GPT is noisy after its prompt only.
    "--act-noise": 2,
    # To track, or to start from.
    "--snippets": 2,
}
"""Option -> how many meanings it has, where that is not one."""


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_an_option_has_one_meaning(name):
    said = {meaning(option.help) for option in OPTIONS[name].values()}
    assert len(said) == MEANINGS.get(name, 1), said


DEFAULTS = {
    # Published experts were evaluated and rolled out with noise, policies without.
    "--act-noise": {None, 0.0, 0.1},
    # Rollouts leave room for more steps than evaluations; a training's are those of its settings.
    "--min-steps": {None, 10, 30},
    "--n-eval-episodes": {None, 100, 1000},
    "--max-steps": {None, 210, 300, 500},
    # Rollouts are made, or chosen from what there is.
    **{key: {None, 10} for key in ("--n-start-rollouts", "--n-rsi-rollouts")},
    # Connections have a number that suits; jobs are as many as there is room for.
    "--jobs": {None, 8},
    # That of the settings of a training, which a file may give, or this.
    "--seed": {None, 0},
    "--device": {None, "auto"},
    "--termination-error-threshold": {None, 0.3},
    # A policy that is watched begins at its snippet's first step.
    "--start-step": {None, 0},
}
"""Option -> its defaults, where there are several."""


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_an_option_has_one_default(name):
    found = {option.default for option in OPTIONS[name].values()}
    assert found == DEFAULTS.get(name, found if len(found) == 1 else set())


TYPES = {
    # One file or folder, or places that may be addresses.
    "--output": 2,
    "--log-root": 2,
    # Words of settings, or of an enumeration.
    "--split": 2,
}
"""Option -> how many types it has, where that is not one."""


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_an_option_has_one_type(name):
    found = {(str(option.type_descriptor.annotation), option.multiple) for option in OPTIONS[name].values()}
    assert len(found) == TYPES.get(name, 1), found


@pytest.mark.parametrize("path", LEAVES)
def test_a_command_shows_how_it_is_called(path):
    command = LEAVES[path]
    examples = (command.epilog or "").splitlines()
    assert any(re.search(rf"(^|\s)mocapact {path}\b", example) for example in examples)


@pytest.mark.parametrize("path", LEAVES)
def test_help_speaks_in_one_voice(path):
    command = LEAVES[path]
    texts = [command.help, *(option.help for option in command.params if option.param_type_name == "option")]
    for text in texts:
        assert text[0].isupper(), text
        assert text.rstrip().endswith("."), text
        assert "!" not in text, text
