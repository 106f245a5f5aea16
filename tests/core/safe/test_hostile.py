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
import numpy as np
import pytest
from hostile_files import CASES, FILES, Case

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import MocapFile, write_clips
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.datasets.expert_dataset import ExpertDataset
from mocapact_cli.core.datasets.metrics import write_metrics
from mocapact_cli.core.datasets.metrics_npz import read_metrics
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.interop.expert_folder import NORMALIZER_FILE, RSI_MODEL, write_clip_info, write_model
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.interop.policy_files import to_safetensors
from mocapact_cli.core.interop.sb3_zip import EXTRA_MEMBER
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.safe import unpickler

SEEN = ("walker/body_height", "walker/world_zaxis")
SLOWEST_S = 1.0
SPARE_BYTES = 256 << 20
LONGEST_MESSAGE = 1000


def _write_rollouts(path: Path) -> None:
    layout = RolloutLayout({"walker/body_height": 1, "walker/world_zaxis": 3}, (1,), 1, 1, 5)
    rng = np.random.default_rng(0)
    with RolloutWriter(path, layout, ["walk-0-9"]) as writer:
        for slot in range(layout.episodes):
            wide = [rng.random((9 + extra, size)) for extra, size in ((1, 4), (0, 5), (0, 5))]
            writer.add("walk-0-9", slot, EpisodeRecord(*wide, *rng.random((3, 9)), False, 1.0, 0.5, 1.0))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one sound file of every kind."""
    folder = tmp_path_factory.mktemp("sound")
    expert = ExpertPolicy.fresh(SEEN, 4, layers=(8,))
    write_model(folder / "expert" / RSI_MODEL, expert)
    write_clip_info(folder / "expert", Snippet("walk", 0, 9), SEEN)
    # As published: no record of mocapact's own, so that the pickled statistics are read.
    model = folder / FILES["expert"]
    model.write_bytes(hostile.without(model.read_bytes(), EXTRA_MEMBER))
    (model.parent / NORMALIZER_FILE).unlink()
    write_checkpoint(folder / "policy.ckpt", build_policy(MlpConfig(ref_steps=(1,), observables=SEEN, layers=(8,))))
    to_safetensors(load_policy(folder / "policy.ckpt"), folder / "policy.safetensors")
    _write_task(folder / FILES["low_level"])
    (folder / "dataset").mkdir()
    _write_rollouts(folder / "dataset/walk.hdf5")
    write_metrics(folder / "dataset")
    metrics = folder / FILES["metrics"]
    metrics.write_bytes(hostile.without(metrics.read_bytes(), *(f"plain_{name}.npy" for name in _PLAIN)))
    write_clips(folder / "clips.h5", [demo("demo_reach")])
    return folder


_PLAIN = ("snippets", "lengths", "returns", "values", "advantages")


def _write_task(low_level: Path) -> None:
    config = NpmpConfig(
        ref_steps=(1,), encoder_observables=SEEN, decoder_observables=SEEN, embed_size=4, encoder_layers=(8,),
        decoder_layers=(8,),
    )  # fmt: skip
    write_checkpoint(low_level, build_policy(config))
    high_level = ExpertPolicy.fresh((*SEEN, "walker/target"), 7, layers=(8,), act_size=4)
    write_model(low_level.parent, high_level)


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
