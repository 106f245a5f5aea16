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


@pytest.fixture
def mocapact(mocapact_home: Path, tmp_path: Path):
    """Return a function that runs the installed program in `tmp_path`."""

    def run(*arguments: object, timeout: float = 120, **environment: str) -> Outcome:
        inherited = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "MOCAPACT_DEBUG")}
        done = subprocess.run(
            [str(PROGRAM), *map(str, arguments)],
            env={**inherited, "MOCAPACT_HOME": str(mocapact_home), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

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
