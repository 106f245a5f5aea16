"""Whatever a child process does, its parent gets a result or one error."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.guarded import GuardedProcess, now_reading, run_guarded

FUNCTIONS = """
import ctypes, os, signal, sys, time
from mocapact_cli.core.errors import MissingDependencyError, NotFoundError
from mocapact_cli.core.guarded import now_reading

def add(path, more):
    print("noise on stdout")
    return {"sum": path + more, "list": (1, 2.5, None), "place": __import__("pathlib").Path("a/b")}

def numbers(path):
    import numpy as np
    return [np.float32(0.5), np.arange(3), np.bool_(True)]

def controls(path):
    return {"a\\x1b[31m": ["b\\x07", "c\\n\\u00fc", "d\\udcb3"]}

def missing(path):
    raise NotFoundError(f"{path}: no\\nsuch\\x1b[1m thing.", hint="Look elsewhere.")

def derived(path):
    class Special(MissingDependencyError): pass
    raise Special("no OpenGL.")

def denied(path):
    raise PermissionError(13, "Permission denied", path)

def crash(path):
    now_reading("walk-0-9/actions")
    ctypes.string_at(0)

def bars(path):
    from mocapact_cli.core.guarded import ReportedProgress
    progress = ReportedProgress()
    with progress.task("Reading", 2, "files") as task:
        task.advance()
        task.update(completed=2)
    with progress.task("Unknown", None, "files") as task:
        task.advance()
    with progress.task("Drawing", 1, "pictures") as task:
        task.advance()

def leave(path):
    os._exit(7)

def hang(path):
    now_reading("stats\\x1b\\nmean")
    while True:
        time.sleep(60)

def spin(path):
    now_reading("stats")
    while True:
        pass

def slow(path):
    for step in range(8):
        now_reading(f"part {step}", done=step, total=8)
        time.sleep(0.1)
    return os.getpid()

def wait(path):
    now_reading("values")
    time.sleep(0.6)
    return "read"

def greedy(path):
    now_reading("values")
    return len(bytearray(1 << 40))

def defect(path):
    return {}["nothing"]

def rubbish(path):
    os.write(3, b"\\xff{]\\n")
    for number in range(3, 20):
        try:
            os.write(number, b"not an answer\\n")
        except OSError:
            pass
"""


class Watcher:
    """A progress listener that keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    def task(self, description: str, total: float | None = None, unit: str = "it"):
        return self

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, completed: float, total: float) -> None:
        self.seen.append((completed, total))


@pytest.fixture(autouse=True)
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "child_functions.py").write_text(FUNCTIONS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])))
    monkeypatch.delenv("MOCAPACT_DEBUG", raising=False)


@pytest.fixture
def process():
    with GuardedProcess(timeout_s=5.0) as process:
        yield process


def _refusal(process: GuardedProcess, function: str) -> str:
    with pytest.raises(InvalidInputError) as refused:
        process.call(f"child_functions:{function}", {"path": "walk.hdf5"})
    assert refused.value.message.startswith("walk.hdf5 ")
    assert refused.value.message.isprintable()
    assert refused.value.hint
    return refused.value.message


def test_results_come_back_as_plain_values(process: GuardedProcess) -> None:
    found = process.call("child_functions:add", {"path": "a", "more": "b"})
    assert found == {"sum": "ab", "list": [1, 2.5, None], "place": "a/b"}
    assert process.call("child_functions:numbers", {"path": "a"}) == [0.5, [0, 1, 2], True]


def test_one_process_serves_many_calls(process: GuardedProcess) -> None:
    first, second = (process.call("child_functions:slow", {"path": "a"}) for _ in range(2))
    assert first == second != os.getpid()


def test_texts_of_a_file_cannot_steer_the_terminal(process: GuardedProcess) -> None:
    assert process.call("child_functions:controls", {"path": "a"}) == {"a?[31m": ["b?", "c\nü", "d?"]}


def test_errors_keep_their_class_message_and_hint(process: GuardedProcess) -> None:
    with pytest.raises(NotFoundError) as raised:
        process.call("child_functions:missing", {"path": "walk.hdf5"})
    assert (raised.value.message, raised.value.hint) == ("walk.hdf5: no?such?[1m thing.", "Look elsewhere.")
    with pytest.raises(Exception, match="no OpenGL") as derived:
        process.call("child_functions:derived", {"path": "a"})
    assert type(derived.value).__name__ == "MissingDependencyError"
    with pytest.raises(PermissionError) as denied:
        process.call("child_functions:denied", {"path": "walk.hdf5"})
    assert (denied.value.errno, denied.value.filename) == (errno.EACCES, "walk.hdf5")


def test_a_crash_names_the_place_and_the_next_call_works(process: GuardedProcess) -> None:
    assert "crashed (SIGSEGV) while reading walk-0-9/actions" in _refusal(process, "crash")
    assert "crashed (exit code 7)" in _refusal(process, "leave")
    assert process.call("child_functions:add", {"path": "a", "more": "b"})["sum"] == "ab"


def test_a_hang_ends_and_names_the_place() -> None:
    begin = time.monotonic()
    with GuardedProcess(timeout_s=0.3) as process:
        assert "3 seconds passed without an end while reading stats??mean" in _refusal(process, "hang")
        assert "0.3 seconds of computing passed without an end while reading stats." in _refusal(process, "spin")
    assert time.monotonic() - begin < 20


def test_waiting_for_other_programs_is_not_computing() -> None:
    assert run_guarded("child_functions:wait", {"path": "a"}, timeout_s=0.3) == "read"


def test_work_that_tells_where_it_is_may_take_longer_than_the_limit() -> None:
    watcher = Watcher()
    found = run_guarded("child_functions:slow", {"path": "a"}, timeout_s=0.6, progress=watcher)
    assert isinstance(found, int)
    assert watcher.seen == [(step, 8) for step in range(8)]


def test_progress_of_the_child_is_shown_bar_by_bar(process: GuardedProcess) -> None:
    class Bars(Watcher):
        def task(self, description: str, total: float | None = None, unit: str = "it"):
            self.seen.append((description, total, unit))
            return self

    bars = Bars()
    process.call("child_functions:bars", {"path": "a"}, progress=bars)
    assert bars.seen == [("Reading", 2.0, "files"), (1.0, 2.0), (2.0, 2.0), ("Drawing", 1.0, "pictures"), (1.0, 1.0)]


def test_absurd_memory_is_refused(process: GuardedProcess) -> None:
    assert "claims more memory than it may have while reading values" in _refusal(process, "greedy")


def test_what_nobody_foresaw_is_told_apart_from_damage(process: GuardedProcess) -> None:
    with pytest.raises(InvalidInputError, match="could not be read: KeyError: 'nothing'") as raised:
        process.call("child_functions:defect", {"path": "walk.hdf5"})
    assert "MOCAPACT_DEBUG" in raised.value.hint


def test_an_answer_that_is_none_counts_as_a_crash(process: GuardedProcess) -> None:
    assert "crashed" in _refusal(process, "rubbish")


def test_modules_in_the_current_folder_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(evil)
    assert run_guarded("child_functions:add", {"path": "a", "more": "b"})["sum"] == "ab"


def test_an_interrupt_ends_the_child() -> None:
    class Interrupts(Watcher):
        def update(self, completed: float, total: float) -> None:
            raise KeyboardInterrupt

    with GuardedProcess(timeout_s=5.0) as process:
        pid = process.call("child_functions:slow", {"path": "a"})
        with pytest.raises(KeyboardInterrupt):
            process.call("child_functions:slow", {"path": "a"}, progress=Interrupts())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_outside_of_a_child_nothing_is_told() -> None:
    now_reading("anything", done=1, total=2)
