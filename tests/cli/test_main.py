import importlib
import re
import subprocess
import sys

import pytest

import mocapact_cli
from mocapact_cli.cli import main


def test_version(installed):
    result = installed("--version")
    assert (result.code, result.stdout, result.stderr) == (0, f"mocapact {mocapact_cli.__version__}\n", "")


def test_the_program_also_runs_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["x", "--version"])
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module("mocapact_cli.__main__")
    assert stopped.value.code == 0


def test_help_lists_every_command_and_an_example(mocapact):
    result = mocapact("--help")
    assert result.code == 0
    for command in main.COMMANDS:
        assert re.search(rf"\b{command.name}\b", result.stdout)
    assert "Examples" in result.stdout
    assert "--install-completion" in result.stdout


def test_a_bare_call_shows_the_help(mocapact):
    assert mocapact().stdout == mocapact("--help").stdout


def test_an_unknown_command_is_a_usage_error_with_a_suggestion(mocapact):
    result = mocapact("clps")
    assert (result.code, result.stdout) == (2, "")
    assert "No such command 'clps'. Did you mean 'clips'?" in result.stderr
    assert len(result.stderr.splitlines()) <= 2


def test_an_unknown_option_is_a_usage_error_with_a_suggestion(mocapact):
    result = mocapact("--versoin")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == "Error: No such option: --versoin\n  Did you mean --version?\n"


def test_errors_are_json_when_asked_for(installed):
    result = installed("clps", "--json")
    assert (result.code, result.stderr) == (2, "")
    assert set(result.json["error"]) == {"type", "message", "hint"}
    assert result.json["error"]["type"] == "UsageError"
    assert "clps" in result.json["error"]["message"]


def test_no_color_means_no_escape_codes(mocapact):
    result = mocapact("clps", NO_COLOR="1", TERM="dumb", FORCE_COLOR="")
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize("command", [command.name for command in main.COMMANDS])
def test_every_registered_command_loads(command):
    lazy = next(lazy for lazy in main.COMMANDS if lazy.name == command)
    assert lazy.load() is not None


def test_every_leaf_has_json_quiet_help_and_examples():
    for lazy in main.COMMANDS:
        for path, command in _leaves(lazy.name, lazy.load()):
            options = {name for parameter in command.params for name in parameter.opts}
            assert {"--json", "--quiet"} <= options, path
            assert command.help, path
            assert f"mocapact {path.split()[0]}" in command.epilog, path


def _leaves(path, command):
    children = getattr(command, "commands", None)
    if not children:
        yield path, command
        return
    for name, child in children.items():
        yield from _leaves(f"{path} {name}", child)


def test_no_heavy_import_before_a_command_runs():
    script = (
        "import sys\n"
        "from mocapact_cli.cli import main\n"
        "[command.load() for command in main.COMMANDS]\n"
        "heavy = {'numpy', 'torch', 'mujoco', 'dm_control', 'h5py', 'matplotlib', 'scipy', 'gymnasium'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class _Raises:
    """Stands in for the command, to see what the boundary makes of an exception."""

    def __init__(self, error):
        self.error = error

    def main(self, *arguments, **options):
        raise self.error


@pytest.fixture
def boundary(monkeypatch, fresh_out, capsys):
    def run(error, arguments=()):
        monkeypatch.setattr(main.typer.main, "get_command", lambda app: _Raises(error))
        code = main.invoke(list(arguments))
        return code, capsys.readouterr()

    return run


def test_ctrl_c_exits_130(boundary):
    code, said = boundary(KeyboardInterrupt())
    assert (code, said.out, said.err) == (130, "", "Error: Interrupted.\n")


def test_an_unexpected_failure_is_one_line_and_the_way_to_the_traceback(boundary, monkeypatch):
    monkeypatch.delenv("MOCAPACT_DEBUG", raising=False)
    code, said = boundary(ZeroDivisionError("by zero\nsecond line"))
    assert code == 1
    assert said.err == (
        "Error: Unexpected failure. ZeroDivisionError: by zero\n  Set MOCAPACT_DEBUG=1 for the traceback.\n"
    )


def test_debug_shows_the_traceback(boundary, monkeypatch):
    monkeypatch.setenv("MOCAPACT_DEBUG", "1")
    code, said = boundary(ZeroDivisionError("by zero"))
    assert code == 1
    assert "Traceback (most recent call last)" in said.err
