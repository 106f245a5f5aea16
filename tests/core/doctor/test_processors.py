import pytest

from mocapact_cli.core.doctor import processors
from mocapact_cli.core.doctor.findings import Level
from mocapact_cli.core.processors import Processors


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(processors, "processors", lambda: Processors(8, 6, 4.0))
    for name in (*processors.THREAD_VARIABLES, "OMP_PROC_BIND", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)


def test_what_limits_the_threads_is_said(only):
    found = only(processors.look_at_processors(), "cores")
    assert found.text == "4 threads at once on 8 cores: affinity allows 6, the control group gives the time of 4"
    assert found.details == {"machine": 8, "affinity": 6, "quota": 4.0}


@pytest.mark.parametrize(
    ("given", "level"),
    [("4", Level.OK), ("1", Level.NOTE), ("8", Level.WARNING), ("8,2", Level.WARNING), ("many", Level.WARNING)],
)
def test_numbers_of_threads_are_held_against_it(monkeypatch, only, given, level):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    found = only(processors.look_at_processors(), "OMP_NUM_THREADS")
    assert found.level is level
    assert level is Level.OK or "unset OMP_NUM_THREADS" in found.remedy


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("OMP_PROC_BIND", "close", True),
        ("OMP_PROC_BIND", "FALSE", False),
        ("OMP_WAIT_POLICY", "active", True),
        ("OMP_WAIT_POLICY", "PASSIVE", False),
    ],
)
def test_binding_and_spinning_are_warned_of(monkeypatch, name, given, told):
    monkeypatch.setenv(name, given)
    assert [one.level for one in processors.look_at_processors() if one.name == name] == [Level.WARNING] * told


def test_a_busy_machine_is_worth_knowing(monkeypatch, only):
    monkeypatch.setattr(processors.os, "getloadavg", lambda: (9.5, 0.0, 0.0))
    assert only(processors.look_at_processors(), "load").level is Level.NOTE


def meminfo(path, total_kb, free_kb):
    path.write_text(f"MemTotal:       {total_kb} kB\nMemFree: 1 kB\nMemAvailable:   {free_kb} kB\n")
    return path


def test_the_control_group_limits_memory(tmp_path):
    file = meminfo(tmp_path / "meminfo", 16_000_000, 9_000_000)
    assert processors.memory(file, (1 << 40, 1 << 40)) == (16_384_000_000, 9_216_000_000)
    assert processors.memory(file, (2 * 10**9, 3 * 10**8)) == (2 * 10**9, 3 * 10**8)


def test_without_the_systems_word_nothing_is_said(tmp_path):
    assert processors.memory(tmp_path / "nothing") is None
    (tmp_path / "odd").write_text("MemTotal: lots\n")
    assert processors.memory(tmp_path / "odd") is None


@pytest.mark.parametrize(
    ("found", "level"),
    [((8e9, 6e9), Level.OK), ((8e9, 3e9), Level.NOTE), ((8e9, 1e9), Level.WARNING), ((1e9, 9e8), Level.WARNING)],
)
def test_little_memory_is_a_warning(monkeypatch, found, level):
    monkeypatch.setattr(processors, "memory", lambda: found)
    assert [one.level for one in processors.look_at_memory()] == [level]
