"""Running the command line in tests: inside this process, or as the installed program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


def call(home: Path, folder: Path, arguments: tuple[object, ...], timeout: float, **environment: str) -> Outcome:
    """Run the installed program in `folder`."""
    inherited = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
    if DEFERRED_VARIABLE in os.environ:
        # The program ran inside this process before, and put the machine's choice of OpenGL aside.
        inherited.pop("MUJOCO_GL", None)
        inherited |= {"MUJOCO_GL": wish} if (wish := os.environ[DEFERRED_VARIABLE]) else {}
    done = subprocess.run(
        [str(PROGRAM), *map(str, arguments)],
        env={**inherited, "MOCAPACT_HOME": str(home), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def mocapact(mocapact_home: Path, tmp_path: Path):
    """Return a function that runs the installed program in `tmp_path`."""

    def run(*arguments: object, timeout: float = 240, **environment: str) -> Outcome:
        return call(mocapact_home, tmp_path, arguments, timeout, **environment)

    return run


@pytest.fixture(scope="session")
def mocapact_once(tmp_path_factory: pytest.TempPathFactory):
    """The same with one home for all tests, for results that several of them look at."""
    home = tmp_path_factory.mktemp("home")

    def run(*arguments: object, timeout: float = 280, **environment: str) -> Outcome:
        return call(home, home, arguments, timeout, **environment)

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
