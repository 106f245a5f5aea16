"""`mocapact push` against a server on this machine."""

import sys

import pytest

from mocapact_cli.cli import main
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.zoo import build_policy


@pytest.fixture
def policy(tmp_path):
    return write_checkpoint(tmp_path / "policy.ckpt", build_policy(MlpConfig(layers=(8,)), seed=0))


def test_a_policy_is_published(mocapact, writable_hub, policy):
    result = mocapact("push", policy, "me/walks", "--message", "The first", "--json")
    assert (result.code, result.stderr.count(writable_hub.token)) == (0, 0), result.stderr
    document = result.json
    assert (document["repository"], document["created"]) == ("me/walks", True)
    assert document["url"] == f"{writable_hub.url}/me/walks"
    arrived = writable_hub.files("me/walks")
    assert {file["path"]: file["bytes"] for file in document["files"]} == {n: len(c) for n, c in arrived.items()}
    assert arrived["policy.ckpt"] == policy.read_bytes()
    assert writable_hub.messages == ["The first"]


def test_rollouts_are_published_and_shown_to_people(mocapact, writable_hub, write_rollouts, tmp_path):
    result = mocapact("push", write_rollouts(tmp_path / "dataset"), "me/rollouts", "--private")
    assert result.code == 0, result.stderr
    assert f"{writable_hub.url}/datasets/me/rollouts (new)" in result.stdout
    assert writable_hub.repositories == {"datasets/me/rollouts": True}


def test_a_dry_run_shows_all_of_it_and_asks_nobody(mocapact, writable_hub, policy):
    line = ("push", policy, "me/walks", "--license", "mit", "--dry-run")
    human, document = mocapact(*line, HF_TOKEN=""), mocapact(*line, "--json", HF_TOKEN="").json
    assert human.code == 0, human.stderr
    for part in (
        "policy for many clips -> me/walks (model): 2 files",
        "policy.ckpt",
        'load_policy(snapshot_download("me',
    ):
        assert part in human.stdout
    assert 'license: "mit"' in document["card"]
    assert {file["path"] for file in document["files"]} == {"README.md", "policy.ckpt"}
    assert mocapact(*line, "--quiet").stdout.split() == ["README.md", "policy.ckpt"]
    assert writable_hub.server.requests == []


def test_what_cannot_be_published_has_its_exit_code(mocapact, writable_hub, policy, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "broken.ckpt").write_bytes(b"x" * 100)
    wrong = "hf_wrongwrongwrong"
    for path, environment, code, says in (
        (policy, {"HF_TOKEN": wrong}, 5, "refuses the push (HTTP 401"),
        (policy, {"HF_TOKEN": "", "HF_HOME": str(tmp_path)}, 5, "no token"),
        (policy, {"HF_ENDPOINT": "http://127.0.0.1:9"}, 1, "cannot be reached"),
        (policy, {"MOCAPACT_OFFLINE": "1"}, 1, "MOCAPACT_OFFLINE is set"),
        ("nowhere", {}, 3, "nowhere does not exist"),
        ("broken.ckpt", {}, 4, "broken.ckpt"),
        ("notes.txt", {}, 2, "Give an expert"),
    ):
        result = mocapact("push", path, "me/walks", **environment)
        assert result.code == code, (path, result.stderr)
        assert says in result.stderr
        assert len(result.stderr.strip().splitlines()) <= 2
        assert wrong not in result.stderr
        assert writable_hub.token not in result.stderr
    assert writable_hub.messages == []


def test_without_the_package_the_extra_is_named(policy, writable_hub, monkeypatch, fresh_out, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main.invoke(["push", str(policy), "me/walks"]) == 1
    assert "pip install 'mocapact[push]'" in capsys.readouterr().err
