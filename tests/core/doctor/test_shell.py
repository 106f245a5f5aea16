import pytest

from mocapact_cli.core.doctor import shell
from mocapact_cli.core.doctor.findings import Level


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("program", "place"),
    [
        ("/bin/bash", ".bash_completions/mocapact.sh"),
        ("-zsh", ".zfunc/_mocapact"),
        ("/usr/bin/fish", ".config/fish/completions/mocapact.fish"),
    ],
)
def test_completion_is_found_where_it_was_installed(home, monkeypatch, program, place):
    monkeypatch.setenv("SHELL", program)
    (before,) = shell.look_at_completion()
    assert (before.level, before.remedy) == (Level.NOTE, "mocapact --install-completion")
    (home / place).parent.mkdir(parents=True)
    (home / place).write_text("")
    (after,) = shell.look_at_completion()
    assert after.level is Level.OK


@pytest.mark.parametrize("program", ["", "/bin/dash"])
def test_other_shells_are_not_looked_at(home, monkeypatch, program):
    monkeypatch.setenv("SHELL", program)
    (found,) = shell.look_at_completion()
    assert (found.level, found.remedy) == (Level.NOTE, "")
