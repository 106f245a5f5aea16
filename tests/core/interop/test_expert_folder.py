from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop import expert_folder, sb3_zip
from mocapact_cli.core.interop.expert_folder import (
    find_expert,
    find_expert_folders,
    find_experts,
    load_expert,
    write_clip_info,
    write_model,
)
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.policies.expert import ExpertPolicy

PUBLISHED = ("experts/CMU_901_01-0-82", "experts/CMU_902_01-0-89", "experts_py38/CMU_902_01-0-89")
STOCK = """
import sys
sys.modules["mocapact_cli"] = None
import gymnasium, numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
folder, observations, actions, values = sys.argv[1:]
model = PPO.load(folder + "/best_model.zip")
class Env(gymnasium.Env):
    observation_space, action_space = model.observation_space, model.action_space
normalize = VecNormalize.load(folder + "/vecnormalize.pkl", DummyVecEnv([Env]))
seen = normalize.normalize_obs(np.load(observations))
np.save(actions, model.predict(seen, deterministic=True)[0])
np.save(values, model.policy.predict_values(model.policy.obs_to_tensor(seen)[0]).detach().numpy()[:, 0])
assert type(model.observation_space) is gymnasium.spaces.Box and model.gamma == 0.97 and model.num_timesteps == 4096
"""


@pytest.mark.parametrize("folder", PUBLISHED)
def test_published_experts_act_as_they_did(test_data: Path, folder: str) -> None:
    policy = load_policy(test_data / "published" / folder)
    reference = np.load(test_data / f"published/reference/expert_{Path(folder).name}.npz")
    observations = {name[4:]: reference[name] for name in reference.files if name.startswith("obs/")}
    actions, state = policy.predict(observations)
    assert state is None
    np.testing.assert_allclose(actions, reference["action"], atol=1e-5)
    np.testing.assert_allclose(policy.values(observations), reference["value"], atol=1e-5)
    np.testing.assert_allclose(policy.std, reference["dist_std"][0], atol=1e-7)
    flat = np.concatenate([observations[name] for name in policy.observables], axis=1)
    np.testing.assert_array_equal(policy.predict(flat)[0], actions)
    np.testing.assert_allclose(policy.predict(flat[0])[0], reference["action_single_obs0"], atol=1e-5)


@pytest.mark.parametrize("level", [0, 1, 2, 3, 4])
def test_an_expert_is_found_from_any_folder_above_it(expert: Path, level: int) -> None:
    model = expert / "eval_rsi" / "model"
    location = find_expert([model, *model.parents][level])
    assert (location.model, location.root, location.snippet) == (model, expert, Snippet("walk", 0, 30))


def test_many_experts_are_listed_and_one_must_be_named(expert: Path) -> None:
    other = expert.parents[1] / "run-5-60"
    shutil.copytree(expert, other)
    write_clip_info(other, Snippet("run", 5, 60), ["walker/joints_pos"])
    root = expert.parents[1]
    assert [str(place.snippet) for place in find_experts(root)] == ["run-5-60", "walk-0-30"]
    with pytest.raises(UsageError, match="2 experts"):
        load_expert(root)


def test_the_start_model_is_found_when_it_is_named(expert: Path) -> None:
    shutil.copytree(expert / "eval_rsi", expert / "eval_start")
    assert find_expert(expert / "eval_start").model == expert / "eval_start" / "model"
    assert find_expert(expert).model == expert / "eval_rsi" / "model"


@pytest.mark.parametrize("activation", ["Tanh", "ELU", "ReLU"])
def test_what_is_written_is_read_back_to_the_last_bit(
    tmp_path: Path, observations: np.ndarray, activation: str
) -> None:
    policy = ExpertPolicy.fresh(("walker/joints_pos", "walker/time_in_clip"), 57, layers=(8,), activation=activation)
    write_model(tmp_path / "e/eval_rsi/model", policy)
    write_clip_info(tmp_path / "e", Snippet("walk", 0, 30), policy.observables, mocap=["walk.h5"])
    loaded = load_expert(tmp_path)
    assert loaded.policy.network.activation == activation
    assert loaded.location.info["mocap"] == ["walk.h5"]
    for read, written in ((loaded.policy.mean_actions, policy.mean_actions), (loaded.policy.values, policy.values)):
        found, expected = read(observations), written(observations)
        np.testing.assert_array_equal(found, expected)


def test_recorded_mocap_files_are_those_that_still_exist(expert: Path, tmp_path: Path) -> None:
    there = tmp_path / "walk.h5"
    there.touch()
    files = [str(tmp_path / "gone.h5"), str(there), str(there), 5]
    write_clip_info(expert, Snippet("walk", 0, 30), ["walker/joints_pos"], mocap=files)
    assert expert_folder.recorded_mocap(find_experts(expert)) == [there]
    write_clip_info(expert, Snippet("walk", 0, 30), ["walker/joints_pos"], mocap="walk.h5")
    assert expert_folder.recorded_mocap(find_experts(expert)) == []


def test_discounts_come_from_the_model(expert: Path) -> None:
    loaded = load_expert(expert)
    assert (loaded.gamma, loaded.gae_lambda) == (0.97, 0.9)


@pytest.mark.parametrize("missing", ["nothing", "extra", "extra and json"])
def test_statistics_are_found_wherever_they_are_left(
    expert: Path, policy: ExpertPolicy, observations: np.ndarray, missing: str
) -> None:
    model = expert / "eval_rsi/model"
    if "extra" in missing:
        _without_member(model / "best_model.zip", sb3_zip.EXTRA_MEMBER)
    if "json" in missing:
        (model / "normalizer.json").unlink()
    np.testing.assert_array_equal(load_policy(expert).predict(observations)[0], policy.predict(observations)[0])


def _without_member(path: Path, name: str) -> None:
    with zipfile.ZipFile(path) as archive:
        kept = {info.filename: archive.read(info) for info in archive.infolist() if info.filename != name}
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in kept.items():
            archive.writestr(member, content)


def test_stock_stable_baselines3_opens_it_without_mocapact(
    expert: Path, policy: ExpertPolicy, observations: np.ndarray, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{name}.npy" for name in ("observations", "actions", "values")]
    np.save(paths[0], observations)
    arguments = [str(expert / "eval_rsi/model"), *map(str, paths)]
    done = subprocess.run([sys.executable, "-c", STOCK, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    means, values = policy.mean_actions(observations), policy.values(observations)
    np.testing.assert_allclose(np.load(paths[1]), np.clip(means, -1, 1), atol=1e-6)
    np.testing.assert_allclose(np.load(paths[2]) * policy.normalizer.return_scale, values, atol=1e-5)


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def _replace_member(path: Path, name: str, content: bytes) -> None:
    _without_member(path, name)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, content)


@pytest.mark.parametrize("where", ["policy.pth", "data", "vecnormalize.pkl"])
def test_hostile_experts_run_nothing(expert: Path, tmp_path: Path, where: str) -> None:
    mark = tmp_path / "executed"
    evil = pickle.dumps(_Evil(mark))
    model = expert / "eval_rsi/model"
    if where == "data":
        import base64

        data = json.loads(zipfile.ZipFile(model / "best_model.zip").read("data"))
        data["learning_rate"] = {":type:": "x", ":serialized:": base64.b64encode(evil).decode()}
        _replace_member(model / "best_model.zip", "data", json.dumps(data).encode())
    elif where == "policy.pth":
        torch.save({"log_std": _Evil(mark)}, tmp_path / "evil.pth")
        _replace_member(model / "best_model.zip", "policy.pth", (tmp_path / "evil.pth").read_bytes())
    else:
        _without_member(model / "best_model.zip", sb3_zip.EXTRA_MEMBER)
        (model / "normalizer.json").unlink()
        (model / "vecnormalize.pkl").write_bytes(evil)
    with pytest.raises(InvalidInputError, match=r"posix\.system"):
        load_expert(expert)
    assert not mark.exists()


@pytest.mark.parametrize("member", ["data", "policy.pth"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe" * 9])
def test_damaged_members_are_refused(expert: Path, member: str, content: bytes) -> None:
    _replace_member(expert / "eval_rsi/model/best_model.zip", member, content)
    with pytest.raises(InvalidInputError, match=r"best_model\.zip"):
        load_expert(expert)


def test_a_truncated_model_is_refused(expert: Path) -> None:
    path = expert / "eval_rsi/model/best_model.zip"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InvalidInputError, match=r"best_model\.zip is damaged"):
        load_expert(expert)


@pytest.mark.parametrize("info", ["", "[]", "{}", '{"clip_id": "a", "start_step": 5, "end_step": 2}', "[" * 100_000])
def test_a_damaged_clip_info_is_refused(expert: Path, info: str) -> None:
    (expert / "clip_info.json").write_text(info)
    with pytest.raises(InvalidInputError):
        find_experts(expert)


def test_weights_of_another_shape_are_refused(expert: Path, tmp_path: Path) -> None:
    torch.save({"log_std": torch.zeros(56)}, tmp_path / "w.pth")
    _replace_member(expert / "eval_rsi/model/best_model.zip", "policy.pth", (tmp_path / "w.pth").read_bytes())
    with pytest.raises(InvalidInputError, match="action_net"):
        load_expert(expert)


def test_folders_without_experts_say_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as missing:
        find_experts(tmp_path)
    assert "best_model.zip" in missing.value.hint


def test_writing_again_replaces_the_model_atomically(expert: Path, policy: ExpertPolicy) -> None:
    write_model(expert / "eval_rsi/model", policy)
    assert sorted(path.name for path in (expert / "eval_rsi/model").iterdir()) == [
        expert_folder.MODEL_FILE, expert_folder.NORMALIZER_FILE, expert_folder.VECNORMALIZE_FILE,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("find", "hint"),
    [(find_experts, "mocapact expert train"), (find_expert_folders, "download"), (load_policy, "a run")],
)
def test_where_nothing_is_the_next_step_is_named(tmp_path, find, hint):
    with pytest.raises(NotFoundError, match=r"nowhere does not exist\.") as caught:
        find(tmp_path / "nowhere")
    assert hint in caught.value.hint
