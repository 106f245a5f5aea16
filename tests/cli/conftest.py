"""Running the command line in tests: in a process of its own, as the installed program, or inside this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mocapact_cli.cli.output import out
from mocapact_cli.core.media.gl import DEFERRED_VARIABLE

_NOT_INHERITED = ("COLUMNS", "MOCAPACT_DEBUG", DEFERRED_VARIABLE)
PROGRAM = Path(sys.executable).with_name("mocapact")


@dataclass(frozen=True)
class Outcome:
    """What one call of the program did."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """stdout as one JSON document."""
        return json.loads(self.stdout)


def _environment(home: Path, more: dict[str, str]) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
    if DEFERRED_VARIABLE in os.environ:
        # The program ran inside this process before, and put the machine's choice of OpenGL aside.
        inherited.pop("MUJOCO_GL", None)
        inherited |= {"MUJOCO_GL": wish} if (wish := os.environ[DEFERRED_VARIABLE]) else {}
    return {**inherited, "MOCAPACT_HOME": str(home), **more}


class Warm:
    """Runs the program in processes that are forked off one which has imported its libraries.

    That one is started with the first call; every import costs it seconds once, not once a call.
    """

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def call(
        self, home: Path, folder: Path, arguments: tuple[object, ...], timeout: float, **environment: str
    ) -> Outcome:
        """Run it in `folder`."""
        with tempfile.TemporaryDirectory() as place:
            streams = {name: Path(place, name) for name in ("stdout", "stderr")}
            for stream in streams.values():
                stream.touch()
            request = {
                "arguments": list(map(str, arguments)),
                "environment": _environment(home, environment),
                "folder": str(folder),
                "timeout": timeout,
                "stdin": os.devnull,
                **{name: str(stream) for name, stream in streams.items()},
            }
            code = self._ask(request)
            said = [streams[name].read_text(encoding="utf-8") for name in ("stdout", "stderr")]
        if code is None:
            raise subprocess.TimeoutExpired(["mocapact", *request["arguments"]], timeout, *said)
        return Outcome(code, *said)

    def _ask(self, request: dict[str, Any]) -> int | None:
        if self._server is None:
            command = [sys.executable, str(Path(__file__).with_name("warm_program.py"))]
            # Without the choice of OpenGL, which each call makes for itself.
            environment = {key: value for key, value in os.environ.items() if key != DEFERRED_VARIABLE}
            self._server = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        assert answer, "the process that runs the program has ended"
        code: int | None = json.loads(answer)
        return code

    def close(self) -> None:
        """End that process."""
        if self._server is not None:
            self._server.communicate()


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """The program, ready to run."""
    program = Warm()
    yield program
    program.close()


@pytest.fixture
def installed(mocapact_home: Path, tmp_path: Path):
    """Return a function that runs the installed program in `tmp_path`, imports and all."""

    def run(*arguments: object, timeout: float = 240, **environment: str) -> Outcome:
        done = subprocess.run(
            [str(PROGRAM), *map(str, arguments)],
            env=_environment(mocapact_home, environment),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def mocapact(warm: Warm, mocapact_home: Path, tmp_path: Path):
    """Return a function that runs the program in `tmp_path`, in a process of its own."""

    def run(*arguments: object, timeout: float = 240, **environment: str) -> Outcome:
        return warm.call(mocapact_home, tmp_path, arguments, timeout, **environment)

    return run


@pytest.fixture(scope="session")
def mocapact_once(warm: Warm, tmp_path_factory: pytest.TempPathFactory):
    """The same with one home for all tests, for results that several of them look at."""
    home = tmp_path_factory.mktemp("home")

    def run(*arguments: object, timeout: float = 280, **environment: str) -> Outcome:
        return warm.call(home, home, arguments, timeout, **environment)

    return run


@pytest.fixture
def fresh_out(monkeypatch: pytest.MonkeyPatch):
    """The one output, in human mode, writing to the streams that pytest captures."""
    for console in ("stdout", "stderr", "_live_progress"):
        out.__dict__.pop(console, None)
    out.configure(json=False, quiet=False)
    yield out
    for console in ("stdout", "stderr", "_live_progress"):
        out.__dict__.pop(console, None)
    out.configure(json=False, quiet=False)
