"""What is sent of which folder, and what stays."""

import json

import pytest

from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.publish.parcel import pack

MODEL = ("best_model.zip", "normalizer.json", "vecnormalize.pkl")


def test_an_expert_is_sent_below_its_snippet_without_what_is_only_for_here(make_expert, tmp_path):
    parcel = pack(make_expert(tmp_path / "runs/CMU_016_22-0-82/0"))
    wanted = {"clip_info.json", "config.json", "versions.json", "curve.png", *(f"eval_rsi/model/{n}" for n in MODEL)}
    assert set(parcel.files) == {f"CMU_016_22-0-82/{name}" for name in wanted}
    assert (parcel.kind, parcel.repository_kind, parcel.snippets) == ("expert", "model", ("CMU_016_22-0-82",))
    assert parcel.versions == {"python": "3.11.7", "mujoco": "3.17.0"}


def test_records_are_sent_without_the_names_of_this_machine(make_expert, tmp_path):
    parcel = pack(make_expert(tmp_path / "expert"))
    sent = b"".join(content for content in parcel.files.values() if isinstance(content, bytes)).decode()
    for secret in ("somebody", "secret project", "machine-of"):
        assert secret not in sent
    assert json.loads(parcel.files["CMU_016_22-0-82/clip_info.json"])["mocap"] == ["walk.h5"]
    assert parcel.sizes["CMU_016_22-0-82/clip_info.json"] == len(parcel.files["CMU_016_22-0-82/clip_info.json"])


def test_many_experts_are_told_apart_by_their_seeds(make_expert, tmp_path):
    for seed in (0, 1):
        make_expert(tmp_path / f"CMU_016_22-0-82/{seed}", seed=seed)
    make_expert(tmp_path / "CMU_009_01-0-40/0", snippet="CMU_009_01-0-40")
    parcel = pack(tmp_path)
    assert parcel.kind == "3 experts"
    assert parcel.snippets == ("CMU_009_01-0-40", "CMU_016_22-0-82")
    folders = {name.partition("/eval_rsi")[0] for name in parcel.files if "/eval_rsi" in name}
    assert folders == {"CMU_009_01-0-40", "CMU_016_22-0-82/0", "CMU_016_22-0-82/1"}


def test_of_a_policy_the_best_checkpoint_is_sent_with_its_record(make_policy, tmp_path):
    parcel = pack(make_policy(tmp_path / "run"))
    assert set(parcel.files) == {"model/best.ckpt", "config.json", "metrics.jsonl"}
    assert json.loads(parcel.files["config.json"])["mocap"] == ["x.h5"]
    assert parcel.details["model"] == "npmp"
    assert {(score.of, score.name): score.value for score in parcel.scores} == {
        ("after 20 steps", "train rsi normalized return"): 0.625,
        ("after 20 steps", "val loss"): 1.25,
    }


def test_a_single_checkpoint_gets_a_name_by_which_it_is_found(make_policy, tmp_path):
    root = make_policy(tmp_path / "run")
    parcel = pack(root / "model/last.ckpt")
    assert parcel.files == {"policy.ckpt": root / "model/last.ckpt"}


def test_rollouts_are_sent_with_their_metrics(write_rollouts, tmp_path):
    folder = write_rollouts(tmp_path / "dataset")
    (folder / "notes.txt").write_text("mine")
    parcel = pack(folder)
    assert set(parcel.files) == {"demo_squat.hdf5", "demo_reach.hdf5", "dataset_metrics.npz"}
    assert (parcel.repository_kind, parcel.details["episodes"]) == ("dataset", 8)
    assert {score.name for score in parcel.scores} == {"normalized return", "normalized length"}
    assert set(pack(folder / "demo_squat.hdf5").files) == {"demo_squat.hdf5"}


def test_the_published_ones_are_known(test_data):
    published = test_data / "published"
    assert pack(published / "transfer/go_to_target").details["task"] == "go-to-target"
    assert pack(published / "experts").kind == "2 experts"
    assert pack(published / "multi_clip/mcp").details["model"] == "mcp"
    flags = pack(published / "transfer/go_to_target").files["flags.txt"].decode()
    assert "--task=" in flags
    assert "=/" not in flags


def test_what_is_damaged_is_not_sent(make_expert, make_policy, write_rollouts, tmp_path):
    expert = make_expert(tmp_path / "expert")
    (expert / "eval_rsi/model/best_model.zip").write_bytes(b"PK\x03\x04 and then nothing")
    policy = make_policy(tmp_path / "run")
    (policy / "model/best.ckpt").write_bytes(b"x" * 1000)
    dataset = write_rollouts(tmp_path / "dataset")
    content = bytearray((dataset / "demo_squat.hdf5").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (dataset / "demo_squat.hdf5").write_bytes(content)
    for path in (expert, policy, dataset):
        with pytest.raises(InvalidInputError):
            pack(path)


def test_what_is_none_of_ours_is_said(tmp_path, test_data):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "notes.txt", tmp_path / "empty", test_data / "published/cmu_test_2020.h5"):
        with pytest.raises(UsageError) as caught:
            pack(path)
        assert "Give an expert" in caught.value.hint
    with pytest.raises(NotFoundError):
        pack(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="2 policies"):
        pack(test_data / "published/transfer")
