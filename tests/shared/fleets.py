"""What tests of fleets share: tiny experts, fleets that run beside the test, and looks at their records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mocapact_cli.core.fleet.records import Attempt, Records

PROGRAM = Path(sys.executable).with_name("mocapact")
SETTINGS = """
num_envs = 8
steps_per_update = 64
batch_size = 32
n_epochs = 2
layers = [16]
eval_every = 64
n_rsi_episodes = 4
n_start_episodes = 2
warm_start = "none"
"""


def settings(folder: Path) -> Path:
    """Write the settings of experts that take a second to train."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny.toml").write_text(SETTINGS)
    return folder / "tiny.toml"


@contextmanager
def running(home: Path, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the program beside the test for the length of the block."""
    environment = {**os.environ, "MOCAPACT_HOME": str(home)}
    with (folder / "running.log").open("ab") as log:
        process = subprocess.Popen([str(PROGRAM), *arguments], cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def until(found: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait for something to happen."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def attempts(plan: Path) -> list[Attempt]:
    """All attempts at all jobs, in the order in which they were begun."""
    found = [attempt for tries in Records(plan).read().values() for attempt in tries]
    return sorted(found, key=lambda attempt: attempt.started)


def processes(plan: Path) -> list[int]:
    """The processes of jobs that are there now."""
    return [attempt.child for attempt in attempts(plan) if Path(f"/proc/{attempt.child}").exists()]


def checkpoints(experts: Path) -> list[Path]:
    """The checkpoints of all experts."""
    return list(experts.glob("*/*/checkpoints/last.pt"))


def evaluated_at(expert: Path) -> list[int]:
    """Environment steps at the evaluations of an expert's training, as its metrics list them."""
    rows = [json.loads(line) for line in (expert / "metrics.jsonl").read_text().splitlines()]
    return [row["timesteps"] for row in rows if "rsi_norm_return" in row]
