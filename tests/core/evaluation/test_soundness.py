"""What --check finds in each kind of file, and in files that do not belong together."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.datasets.metrics import METRICS_FILE, write_metrics
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.evaluation.inspection import inspect_path
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model

LAYOUT = RolloutLayout({"walker/body_height": 1, "walker/joints_pos": 4}, (1,), 1, 1, act_size=3)


def _write(path: Path, layout: RolloutLayout = LAYOUT, snippet: str = "", steps: int = 4) -> None:
    snippet = snippet or f"{path.stem}-0-9"
    with RolloutWriter(path, layout, [snippet]) as writer:
        for slot in range(layout.episodes):
            writer.add(snippet, slot, _record(layout, steps, slot))


def _record(layout: RolloutLayout, steps: int, seed: int) -> EpisodeRecord:
    rng = np.random.default_rng(seed)
    actions = rng.random((steps, layout.act_size))
    rewards, values = rng.random((2, steps))
    metrics = {"episode_return": float(rewards.sum()), "norm_return": 0.25 + seed, "norm_length": 1.0}
    observations = rng.random((steps + 1, layout.obs_size))
    return EpisodeRecord(observations, actions, actions, rewards, values, values, early_termination=False, **metrics)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    for name in ("run", "walk"):
        _write(folder / f"{name}.hdf5")
    write_metrics(folder)
    assert inspect_path(folder, check=True)["check"] == "sound"
    return folder


def _refusal(path: Path) -> str:
    with pytest.raises(InvalidInputError) as refused:
        inspect_path(path, check=True)
    assert str(path) in refused.value.message
    return refused.value.message


def _changed(**fields: object) -> Callable[[Path], None]:
    return lambda folder: _write(folder / "walk.hdf5", dataclasses.replace(LAYOUT, **fields))


def _rewrite_metrics(change: Callable[[dict[str, bytes]], None]) -> Callable[[Path], None]:
    """Return a damage that changes members of the metrics file, whose CRCs then fit again."""

    def damage(folder: Path) -> None:
        with zipfile.ZipFile(folder / METRICS_FILE) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        change(members)
        with zipfile.ZipFile(folder / METRICS_FILE, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return damage


def _swap_values(members: dict[str, bytes]) -> None:
    members["plain_values.npy"] = members["plain_advantages.npy"][:-8] + bytes(8)


def _renamed_snippet(members: dict[str, bytes]) -> None:
    for name in ("plain_snippets.npy", "snippet_returns.npy", "values.npy", "advantages.npy"):
        members[name] = members[name].replace(b"walk-0-9", b"walk-0-8").replace(
            "walk-0-9".encode("utf-32-le"), "walk-0-8".encode("utf-32-le")
        )  # fmt: skip


def _same_snippet(folder: Path) -> None:
    _write(folder / "walk.hdf5", snippet="run-0-9")


DISAGREEMENTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "ref_steps": (_changed(ref_steps=(1, 2)), "ref_steps (1, 2), but run.hdf5 has (1,)"),
    "starts": (_changed(n_start_rollouts=2), "n_start_rollouts 2, but run.hdf5 has 1"),
    "rsi": (_changed(n_rsi_rollouts=3), "n_rsi_rollouts 3, but run.hdf5 has 1"),
    "an observable more": (_changed(observables={**LAYOUT.observables, "walker/z": 2}), "run.hdf5 has no walker/z"),
    "an observable less": (_changed(observables={"walker/body_height": 1}), "walk.hdf5 has no walker/joints_pos"),
    "other columns": (_changed(observables={"walker/body_height": 2, "walker/joints_pos": 3}), "in other columns than"),
    "one snippet twice": (_same_snippet, "both hold run-0-9"),
    "lengths": (lambda folder: _write(folder / "walk.hdf5", steps=5), "has 8 values of walk-0-9, but its file has 10"),
    "a file more": (lambda folder: _write(folder / "squat.hdf5"), "lacks squat-0-9"),
    "a file less": (lambda folder: (folder / "walk.hdf5").unlink(), "names walk-0-9, which is in none"),
    "another snippet": (_rewrite_metrics(_renamed_snippet), "names walk-0-8"),
    "other values": (_rewrite_metrics(_swap_values), "differs between the file's plain and pickled part"),
    "no statistics": (_rewrite_metrics(lambda members: members.pop("act_var.npy")), "act_var is missing"),
    "a damaged file": (lambda folder: _nudge(folder / "walk.hdf5"), "/walk-0-9/1/actions does not match its checksum"),
}


def _nudge(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["walk-0-9/1/actions"][2, 1] += 1e-6


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_files_of_a_dataset_that_do_not_belong_together_are_named(dataset: Path, name: str) -> None:
    damage, message = DISAGREEMENTS[name]
    damage(dataset)
    assert message in _refusal(dataset)


def test_clips_without_episodes_are_named(dataset: Path) -> None:
    with h5py.File(dataset / "walk.hdf5", "r+") as file:
        del file["walk-0-9"]
    assert "walk.hdf5: it holds no snippets" in _refusal(dataset)


def _write_clip(path: Path) -> None:
    write_clips(path, [demo("demo_reach")])


MOCAP: dict[str, tuple[Callable[[h5py.Group], None], str]] = {
    "missing": (lambda walker: walker.pop("joints"), "/demo_reach/walkers/walker_0/joints is missing"),
    "link": (lambda walker: _relink(walker), "link to elsewhere"),
    "not finite": (lambda walker: _set(walker, "velocity", np.nan), "velocity holds values that are not finite"),
    "no rotation": (lambda walker: _set(walker, "quaternion", 0.0), "quaternion holds no rotations"),
    "shape": (lambda walker: _cut(walker, "appendages"), "appendages has shape"),
}


def _relink(walker: h5py.Group) -> None:
    del walker["joints"]
    walker["joints"] = h5py.ExternalLink("/etc/passwd", "/")


def _set(walker: h5py.Group, name: str, value: float) -> None:
    walker[name][:, 3] = value


def _cut(walker: h5py.Group, name: str) -> None:
    values = walker[name][:-1]
    del walker[name]
    walker[name] = values


@pytest.mark.parametrize("name", MOCAP)
def test_mocap_files_are_read_through(tmp_path: Path, name: str) -> None:
    path = tmp_path / "demo.h5"
    _write_clip(path)
    assert inspect_path(path, check=True)["check"] == "sound"
    damage, message = MOCAP[name]
    with h5py.File(path, "r+") as file:
        damage(file["demo_reach/walkers/walker_0"])
    assert message in _refusal(path)


@pytest.fixture
def expert(tmp_path: Path, policy) -> Path:
    root = tmp_path / "experts" / "demo_reach-0-40"
    write_model(root / RSI_MODEL, policy)
    write_clip_info(root, Snippet("demo_reach", 0, 40), policy.observables)
    return root


def test_experts_are_read_through(expert: Path) -> None:
    assert inspect_path(expert, check=True)["check"] == "sound"
    assert inspect_path(expert / RSI_MODEL / "best_model.zip", check=True)["check"] == "sound"
    content = bytearray((expert / RSI_MODEL / "best_model.zip").read_bytes())
    content[content.index(b"policy.pth") + 2000] ^= 1
    (expert / RSI_MODEL / "best_model.zip").write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"best_model.zip is damaged: Bad CRC-32 for file 'policy.pth'"):
        inspect_path(expert, check=True)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("results", [[1.0, np.nan]] * 2, "results holds values that are not finite"),
        ("timesteps", [200, 100], "timesteps do not rise"),
        ("ep_lengths", [[4, -1]] * 2, "ep_lengths holds negative lengths"),
    ],
)
def test_evaluations_are_read_through(tmp_path: Path, name: str, values: list, message: str) -> None:
    path = tmp_path / "evaluations.npz"
    table = np.ones((2, 2))
    arrays = dict.fromkeys(("results", "ep_lengths", "results_norm", "ep_lengths_norm"), table)
    np.savez(path, timesteps=[100, 200], **arrays)
    assert inspect_path(path, check=True)["check"] == "sound"
    np.savez(path, **({"timesteps": [100, 200], **arrays} | {name: values}))
    assert message in _refusal(path)


def test_what_has_no_check_does_not_claim_to_be_sound(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"gamma": 0.95}))
    assert "check" not in inspect_path(tmp_path, check=True)


def test_published_metrics_without_a_plain_part_are_checked(test_data: Path, tmp_path: Path) -> None:
    published = test_data / "published" / "dataset"
    assert inspect_path(published, check=True)["check"] == "sound"
    shutil.copytree(published, tmp_path / "dataset")
    (tmp_path / "dataset/CMU_901_01.hdf5").chmod(0o644)
    (tmp_path / "dataset").chmod(0o755)
    (tmp_path / "dataset/CMU_901_01.hdf5").unlink()
    assert "names CMU_901_01-0-82" in _refusal(tmp_path / "dataset")
