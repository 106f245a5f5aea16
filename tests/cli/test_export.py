from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import minari
import numpy as np
import pyarrow.parquet as pq
import pytest

from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.policies.gpt import GptConfig
from mocapact_cli.core.policies.zoo import build_policy

PROGRAM = Path(sys.executable).with_name("mocapact")
LAYOUT = RolloutLayout({"walker/joints_pos": 56, "walker/world_zaxis": 3}, (1,), 1, 1)
TRAIN, VALIDATION = "CMU_016_22-0-82", "CMU_016_27-0-82"


def _write(folder: Path, snippets: list[str], *, steps: int = 5, layout: RolloutLayout = LAYOUT) -> Path:
    rng = np.random.default_rng(0)
    clips = {snippet.split("-")[0] for snippet in snippets}
    for clip in clips:
        names = [snippet for snippet in snippets if snippet.startswith(clip)]
        with RolloutWriter(folder / f"{clip}.hdf5", layout, names) as writer:
            for name in names:
                for slot in range(layout.episodes):
                    wide = [
                        rng.random((steps + extra, size)) for extra, size in ((1, layout.obs_size), (0, 56), (0, 56))
                    ]
                    flat = [rng.random(steps) for _ in range(3)]
                    writer.add(name, slot, EpisodeRecord(*wide, *flat, False, 1.0, 0.5, 1.0))
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return _write(tmp_path / "dataset", [TRAIN, "CMU_016_22-60-150", VALIDATION])


def test_merge_and_split_give_datasets_that_inspect_finds_sound(mocapact, dataset: Path, tmp_path: Path) -> None:
    _write(tmp_path / "more", ["CMU_016_22-100-190", "CMU_016_23-0-80"])
    merged = mocapact("export", "dataset", "more", "--to", "rollouts", "-o", "merged", "--json")
    assert merged.code == 0, merged.stderr
    assert merged.json.pop("bytes") > 0
    assert {**merged.json, "bytes": 0} == {
        "path": "merged", "format": "rollouts", "episodes": 10, "steps": 50, "snippets": 5, "bytes": 0,
    }  # fmt: skip
    assert mocapact("inspect", "merged", "--check", "--json").json["episodes"] == 10
    parts = mocapact("export", "merged", "--to", "rollouts", "-o", "parts", "--split", "both", "--json").json
    assert parts["parts"] == ["parts/train", "parts/validation"]
    assert mocapact("inspect", "parts/train", "--check", "--json").json["episodes"] == 8


def test_minari_loads_what_the_message_says(
    mocapact, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = mocapact(
        "export", "dataset", "--to", "minari", "-o", "root", "--name", "walks/small-v2", "--clips", "walk_tiny"
    )
    assert outcome.code == 0, outcome.stderr
    assert "minari.load_dataset('walks/small-v2')" in outcome.stdout
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    loaded = minari.load_dataset("walks/small-v2")
    assert (loaded.total_episodes, loaded.total_steps) == (6, 30)


def test_d4rl_and_lerobot_hold_what_was_chosen(mocapact, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{TRAIN}  # the first\nCMU_143_42\n")
    flags = ("--clips", "list.txt", "--observables", "world_zaxis", "--n-rsi-rollouts", 0)
    assert mocapact("export", "dataset", "--to", "d4rl", "-o", "out.hdf5", *flags, "-q").stdout == "out.hdf5\n"
    with h5py.File(tmp_path / "out.hdf5") as file:
        assert file["observations"].shape == (5, 3)
    outcome = mocapact("export", "dataset", "--to", "lerobot", "-o", "robot", "--actions", "mean", *flags)
    assert "LeRobotDataset" in outcome.stdout
    assert len(pq.read_table(tmp_path / "robot/data/chunk-000/file-000.parquet")) == 5


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with the last checkpoint of a tiny GPT."""
    config = GptConfig(observables=("walker/world_zaxis",), block_size=4, n_layer=1, n_head=2, n_embd=8)
    write_checkpoint(tmp_path / "run" / "model" / "last.ckpt", build_policy(config, seed=0))
    return tmp_path / "run"


def test_a_policy_becomes_a_graph_that_inspect_knows(mocapact, run: Path, tmp_path: Path) -> None:
    told = mocapact("export", "run", "--to", "onnx", "-o", "out/gpt.onnx", "--json")
    assert told.code == 0, told.stderr
    assert told.json["largest_difference"] < 1e-6
    assert (told.json["model"], told.json["path"], told.json["sizes"]) == ("gpt", "out/gpt.onnx", [3])
    assert [port["name"] for port in told.json["inputs"]] == ["observations", "context", "fill"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["gpt.onnx"]
    found = mocapact("inspect", "out/gpt.onnx", "--check", "--json").json
    assert (found["inputs"], found["outputs"]) == (told.json["inputs"], told.json["outputs"])
    assert "context batch x 4 x 3, float32" in mocapact("inspect", "out/gpt.onnx").stdout


@pytest.mark.slow
def test_a_policy_goes_out_and_acts_as_before(mocapact, run: Path, tmp_path: Path) -> None:
    outcome = mocapact("export", "run", "--to", "safetensors", "-o", "out/gpt.safetensors")
    assert outcome.code == 0, outcome.stderr
    assert "fill batch, int64" in outcome.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["gpt.json", "gpt.safetensors"]
    evaluated = ("--snippets", "demo_reach", "--n-eval-episodes", 2, "--json")
    scores = [mocapact("distill", "eval", place, *evaluated).json for place in ("run", "out/gpt.safetensors")]
    assert [score.pop("policy") for score in scores] == ["run/model/last.ckpt", "out/gpt.safetensors"]
    assert scores[0] == scores[1]
    assert scores[0]["episodes"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("missing", "--to", "d4rl", "-o", "x.hdf5"), 3, "missing does not exist"),
        (("empty", "--to", "d4rl", "-o", "x.hdf5"), 3, "no rollout files"),
        (("dataset", "--to", "minary", "-o", "x"), 2, "Did you mean minari?"),
        (("dataset", "--to", "onnx", "-o", "x.onnx"), 2, "holds rollouts, which cannot be exported to onnx"),
        (("dataset", "--to", "onnx", "-o", "x.onnx", "--clips", "a"), 2, "--clips means nothing for onnx"),
        (("dataset", "--to", "d4rl", "-o", "x"), 2, ".npz"),
        (("dataset", "--to", "rollouts", "-o", "dataset"), 2, "replace the source"),
        (("dataset", "--to", "rollouts", "-o", "x", "--clips", "CMU_016_25"), 3, "CMU_016_22"),
        (("dataset", "--to", "rollouts", "-o", "x", "--clips", "no.txt"), 3, "no.txt"),
        (("dataset", "--to", "rollouts", "-o", "x", "--observables", "joint_pos"), 3, "joints_pos"),
        (("dataset", "--to", "minari", "-o", "x", "--name", "walk"), 2, "mocapact/walk-v0"),
        (("dataset", "copy", "--to", "rollouts", "-o", "x"), 2, "copy/CMU_016_22.hdf5"),
        (("dataset", "other", "--to", "rollouts", "-o", "x"), 4, "differ in their reference steps"),
        (("dataset", "cut.hdf5", "--to", "rollouts", "-o", "x"), 4, "cut.hdf5"),
    ],
)
def test_bad_requests_end_in_one_line_and_their_code(
    mocapact, dataset: Path, tmp_path: Path, arguments, code: int, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    _write(tmp_path / "copy", [TRAIN])
    _write(tmp_path / "other", ["CMU_001_01-0-82"], layout=RolloutLayout(LAYOUT.observables, (2,), 1, 1))
    (tmp_path / "cut.hdf5").write_bytes((dataset / "CMU_016_22.hdf5").read_bytes()[:3000])
    outcome = mocapact("export", *arguments)
    assert outcome.code == code, outcome.stderr
    assert message in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) <= 2
    assert not (tmp_path / "x").exists()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layout = RolloutLayout({"walker/joints_pos": 2868}, (1,), 1, 99)
    return _write(tmp_path_factory.mktemp("large"), [TRAIN], steps=60, layout=layout)


def _small_files_only() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))


@pytest.mark.parametrize(
    ("to", "name"),
    [("rollouts", "x"), ("minari", "x"), ("d4rl", "x.hdf5"), ("d4rl", "x.npz"), ("lerobot", "x")],
)
def test_a_disk_that_takes_no_more_ends_in_one_line(large: Path, tmp_path: Path, to: str, name: str) -> None:
    command = [PROGRAM, "export", large, "--to", to, "-o", name]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, preexec_fn=_small_files_only, check=False
    )
    assert done.returncode == 1, done.stderr
    assert f"larger than this system allows: {name}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [path for path in tmp_path.rglob("*") if not path.is_dir()]


@pytest.mark.parametrize(("to", "name"), [("minari", "x"), ("d4rl", "x.npz"), ("lerobot", "x")])
def test_an_interrupt_leaves_nothing(large: Path, tmp_path: Path, to: str, name: str) -> None:
    command = [PROGRAM, "export", large, "--to", to, "-o", name]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    # As soon as anything is there: how much is in it, and when, is the file system's affair.
    while not any(tmp_path.iterdir()) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert not [path for path in tmp_path.rglob("*") if not path.is_dir()]
