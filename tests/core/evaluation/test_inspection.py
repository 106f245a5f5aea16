from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.datasets.metrics import write_metrics
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
from mocapact_cli.core.errors import InvalidInputError, MocapactError, NotFoundError
from mocapact_cli.core.evaluation.inspection import inspect_path
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    layout = RolloutLayout({"walker/body_height": 1, "walker/joints_pos": 4}, (1,), 1, 1, act_size=3)
    folder = tmp_path / "dataset"
    record = EpisodeRecord(
        *(np.ones((rows, width), np.float32) for rows, width in ((5, 5), (4, 3), (4, 3))),
        *(np.ones(4, np.float32) for _ in range(3)),
        early_termination=True, episode_return=4.0, norm_return=0.5, norm_length=0.5,
    )  # fmt: skip
    for snippet in ("run-0-30", "walk-0-9"):
        with RolloutWriter(folder / f"{snippet.split('-')[0]}.hdf5", layout, [snippet], {"seed": 7}) as writer:
            for slot in range(2):
                writer.add(snippet, slot, record)
    write_metrics(folder)
    return folder


@pytest.fixture
def expert(tmp_path: Path, policy) -> Path:
    root = tmp_path / "experts" / "demo_reach-0-40"
    write_model(root / RSI_MODEL, policy, {"num_timesteps": 12})
    write_clip_info(root, Snippet("demo_reach", 0, 40), policy.observables)
    return root


def test_rollout_files(dataset: Path) -> None:
    found = inspect_path(dataset / "run.hdf5", tree=True, check=True)
    assert (found["kind"], found["clip"], found["episodes"], found["steps"]) == ("rollouts", "run", 2, 8)
    assert found["observables"] == {"walker/body_height": 1, "walker/joints_pos": 4}
    assert found["snippets"][0]["norm_return"] == {"mean": 0.5, "std": 0.0}
    assert found["snippets"][0]["early_termination_rate"] == 1.0
    assert found["recorded_by"]["seed"] == 7
    assert {"path": "run-0-30/1/actions", "shape": [4, 3], "dtype": "float32"} in found["tree"]
    json.dumps(found)


def test_datasets(dataset: Path) -> None:
    found = inspect_path(dataset, tree=True, check=True)
    assert (found["kind"], found["files"], found["episodes"], found["check"]) == ("dataset", 2, 4, "sound")
    assert [row["snippet"] for row in found["snippets"]] == ["run-0-30", "walk-0-9"]
    assert found["has_metrics"]
    assert [row["path"] for row in found["tree"]] == ["dataset_metrics.npz", "run.hdf5", "walk.hdf5"]


def test_metrics(dataset: Path) -> None:
    found = inspect_path(dataset / "dataset_metrics.npz")
    assert (found["kind"], found["steps"]) == ("dataset_metrics", 16)


def test_mocap_files(tmp_path: Path) -> None:
    write_clips(tmp_path / "demo.h5", [demo("demo_reach")])
    found = inspect_path(tmp_path / "demo.h5", tree=True)
    assert (found["kind"], found["num_clips"]) == ("mocap", 1)
    assert found["clips"][0]["poses"] == demo("demo_reach").num_steps
    assert any(row["path"].endswith("walker_0/joints") for row in found["tree"])
    assert inspect_path(tmp_path)["kind"] == "mocap_folder"


def test_experts(expert: Path) -> None:
    found = inspect_path(expert)
    assert (found["kind"], found["snippet"]) == ("expert", "demo_reach-0-40")
    assert found["model"]["layers"] == {"pi": [16, 16], "vf": [16, 16]}
    assert found["model"]["activation"] == "Tanh"
    shutil.copytree(expert, expert.with_name("again"))
    assert [row["snippet"] for row in inspect_path(expert.parent)["experts"]] == ["demo_reach-0-40"] * 2


def test_runs(expert: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "100.zip").touch()
    (run / "config.json").write_text('{"gamma": 0.95}')
    (run / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"ste')
    found = inspect_path(run)
    assert (found["kind"], found["last_metrics"], found["checkpoints"]) == ("run", {"step": 2}, ["100.zip"])
    (expert / "config.json").write_text('{"gamma": 0.95}')
    assert inspect_path(expert)["run"]["config"] == {"gamma": 0.95}


def test_published_files_of_every_kind(test_data: Path) -> None:
    published = test_data / "published"
    kinds = {
        "dataset": "dataset",
        "dataset/CMU_901_01.hdf5": "rollouts",
        "dataset/dataset_metrics.npz": "dataset_metrics",
        "dataset_cameras/CMU_902_01.hdf5": "rollouts",
        "cmu_test_2020.h5": "mocap",
        "experts": "experts",
        "experts/CMU_902_01-0-89": "expert",
        "experts/CMU_902_01-0-89/0/eval_rsi/evaluations.npz": "evaluations",
        "experts_py38/CMU_902_01-0-89/0/eval_rsi/model/best_model.zip": "model",
    }
    assert {name: inspect_path(published / name)["kind"] for name in kinds} == kinds


@pytest.mark.parametrize("name", ["a.hdf5", "a.h5", "a.npz", "a.zip", "a.txt"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x05\x06" + bytes(18), b"\x89HDF\r\n\x1a\n" + bytes(90)])
def test_what_is_not_known_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInputError) as refused:
        inspect_path(tmp_path / name)
    assert str(tmp_path / name) in refused.value.message
    assert "\n" not in refused.value.message


def test_folders_without_anything_and_missing_paths(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="nothing that mocapact knows"):
        inspect_path(tmp_path)
    with pytest.raises(NotFoundError):
        inspect_path(tmp_path / "missing")


def test_an_empty_hdf5_file_is_refused(tmp_path: Path) -> None:
    h5py.File(tmp_path / "a.hdf5", "w").close()
    with pytest.raises(InvalidInputError):
        inspect_path(tmp_path / "a.hdf5")


def test_damaged_files_end_in_a_message_or_in_facts(dataset: Path, tmp_path: Path) -> None:
    content = (dataset / "run.hdf5").read_bytes()
    rng = np.random.default_rng(0)
    for number in range(60):
        damaged = bytearray(content)
        for position in rng.integers(len(content) if number % 2 else 3000, size=3):
            damaged[position] = rng.integers(256)
        (tmp_path / "damaged.hdf5").write_bytes(
            bytes(damaged)[: len(content) if number % 3 else -int(rng.integers(1, 999))]
        )
        try:
            inspect_path(tmp_path / "damaged.hdf5", tree=True, check=True)
        except MocapactError as error:
            message = error.message
        else:
            continue
        assert "\n" not in message
