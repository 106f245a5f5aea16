import pytest

from mocapact_cli.core.bench import startup
from mocapact_cli.core.errors import RunError


def test_the_least_of_the_measured_rounds_counts(monkeypatch):
    seconds = iter([0.1, 0.2, 0.5, 0.6, 0.4, 0.7])
    calls = []
    monkeypatch.setattr(startup, "cpu_seconds", lambda command: calls.append(command) or next(seconds))
    costs = startup.measure_startup([["--help"], ["clips", "--help"]], repeats=2)
    assert costs == [startup.StartupCost("--help", 0.4), startup.StartupCost("clips --help", 0.6)]
    assert calls == [["--help"], ["clips", "--help"]] * 3


def test_a_real_start_takes_some_time():
    assert 0.005 < startup.cpu_seconds(["--version"]) < 10


def test_a_command_that_fails_is_no_measurement():
    with pytest.raises(RunError, match="exit code 2"):
        startup.cpu_seconds(["no-such-command"])
