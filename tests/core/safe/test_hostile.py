"""Hundreds of hostile and damaged files, opened as a user would: none runs, each is refused by name, none is slow."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile_files as hostile
import hostile_pickles as programs
import pytest
from hostile_files import CASES, FILES, Case
from sound_files import SEEN, write_sound

from mocapact_cli.core.clips.mocap_h5 import MocapFile
from mocapact_cli.core.datasets.expert_dataset import ExpertDataset
from mocapact_cli.core.datasets.metrics_npz import read_metrics
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.safe import unpickler

SLOWEST_S = 3.0
"""Of processor time, ten times what the slowest takes: what this finds takes minutes or for ever."""
SPARE_BYTES = 256 << 20
LONGEST_MESSAGE = 1000


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one sound file of every kind."""
    return write_sound(tmp_path_factory.mktemp("sound"))


def _read_rollouts(folder: Path) -> None:
    dataset = ExpertDataset([folder / FILES["rollouts"]], SEEN, in_memory=True)
    for row in range(len(dataset)):
        dataset[row]


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """Let this process have some megabytes more than it has, where the system counts them."""
    status = Path("/proc/self/status")
    if not status.is_file():
        yield
        return
    held = next(int(line.split()[1]) << 10 for line in status.read_text().splitlines() if line.startswith("VmData"))
    usual = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (held + SPARE_BYTES, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, usual)


OPEN: dict[str, Callable[[Path], Any]] = {
    "expert": lambda folder: load_policy(folder / "expert"),
    "normalizer": lambda folder: load_policy(folder / "expert"),
    "clip_info": lambda folder: load_policy(folder / "expert"),
    "checkpoint": lambda folder: load_policy(folder / "policy.ckpt"),
    "low_level": lambda folder: load_policy(folder / "task"),
    "metrics": lambda folder: read_metrics(folder / "dataset"),
    "rollouts": _read_rollouts,
    "mocap": lambda folder: MocapFile(folder / "clips.h5").get("demo_reach"),
    "safetensors": lambda folder: load_policy(folder / "policy.safetensors"),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_they_are_made_of_is_sound(sound: Path, kind: str) -> None:
    OPEN[kind](sound)


def test_there_are_more_than_two_hundred_and_each_is_another() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 200
    hostile_pickles = [case for case in CASES if case.name.split(": ")[0] in hostile.PLACES]
    assert len(hostile_pickles) >= 200


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_none_runs_and_each_is_refused_by_name(sound: Path, tmp_path: Path, case: Case) -> None:
    mark, folder = tmp_path / "MARK", tmp_path / "files"
    file = case.write(sound, folder, mark)
    began = time.process_time()
    with pytest.raises(InvalidInputError) as refused, little_memory():
        OPEN[case.kind](folder)
    assert time.process_time() - began < SLOWEST_S
    assert not mark.exists()
    message = refused.value.message
    assert file.name in message
    assert message.isprintable()
    assert len(message) < LONGEST_MESSAGE
    assert "MemoryError" not in message


def test_the_programs_would_run_if_they_were_unpickled(tmp_path: Path) -> None:
    """What is refused above is not refused for being wrong: Python's own unpickler runs it."""
    marks: dict[str, Path] = {}
    for shape in programs.SHAPES:
        marks[shape] = tmp_path / shape
        program = programs.PROGRAMS[f"{shape} os.system"](marks[shape])
        (tmp_path / f"{shape}.pkl").write_bytes(program)
    script = (
        "import pickle, sys\nfor path in sys.argv[1:]:\n  try: pickle.load(open(path, 'rb'))\n  except Exception: 0"
    )
    files = [str(tmp_path / f"{shape}.pkl") for shape in programs.SHAPES]
    subprocess.run([sys.executable, "-c", script, *files], check=True, timeout=60)
    assert [shape for shape, mark in marks.items() if not mark.exists()] == ["new", "new_ex"]


def test_a_program_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch, sound: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(unpickler, "MAX_STEPS", 10_000)
    case = Case("long", "normalizer", lambda *_: b"]0" * 100_000 + b"N.")
    case.write(sound, tmp_path, tmp_path / "MARK")
    with pytest.raises(InvalidInputError, match="more steps than any honest file"):
        load_policy(tmp_path / "expert")
