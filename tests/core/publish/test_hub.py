"""Sending to a real server on this machine, and what comes back from there."""

import pytest
from http_server import Fault

from mocapact_cli.core.errors import AccessError, RunError, UsageError
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.publish.hub import push, with_card
from mocapact_cli.core.publish.parcel import CARD, pack
from mocapact_cli.core.remote.huggingface import HuggingFaceSource
from mocapact_cli.core.remote.transfer import fetch_all


def sent(path, repository, **options):
    parcel = pack(path)
    files = with_card(parcel, repository)
    return push(parcel, repository, files=files, **options), files


def contents(files):
    return {name: it if isinstance(it, bytes) else it.read_bytes() for name, it in files.items()}


def fetched(repository, kind, folder):
    source = HuggingFaceSource(repository, kind)
    fetch_all(source, list(source.files("")), folder, progress=NullProgress())
    return folder


def test_every_byte_arrives_and_what_is_fetched_again_acts(writable_hub, make_expert, tmp_path):
    done, files = sent(make_expert(tmp_path / "expert"), "me/walker", message="A first one")
    assert writable_hub.files("me/walker") == contents(files)
    assert (done.repository, done.created, writable_hub.messages) == ("me/walker", True, ["A first one"])
    assert done.url == f"{writable_hub.url}/me/walker"
    large = {name for name, content in contents(files).items() if len(content) > writable_hub.large}
    assert large
    assert set(writable_hub.stored.values()) == {contents(files)[name] for name in large}
    policy = load_policy(fetched("me/walker", "model", tmp_path / "again"))
    assert policy.observables == load_policy(tmp_path / "expert").observables


def test_a_policy_and_a_dataset_come_back_as_they_were(writable_hub, make_policy, write_rollouts, tmp_path):
    _, files = sent(make_policy(tmp_path / "run"), "me/npmp")
    assert load_policy(fetched("me/npmp", "model", tmp_path / "policy")).model == "npmp"
    done, files = sent(write_rollouts(tmp_path / "dataset"), "me/rollouts")
    assert writable_hub.files("datasets/me/rollouts") == contents(files)
    assert done.url == f"{writable_hub.url}/datasets/me/rollouts"
    again = pack(fetched("me/rollouts", "dataset", tmp_path / "fetched"))
    assert again.details["episodes"] == 8


def test_a_second_push_goes_into_the_same_repository(writable_hub, make_expert, tmp_path):
    root = make_expert(tmp_path / "expert")
    sent(root, "me/walker")
    (root / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    done, _ = sent(root, "me/walker")
    assert not done.created
    assert writable_hub.messages == ["Add expert", "Add expert"]


def test_a_page_that_lies_there_is_taken(writable_hub, make_policy, tmp_path):
    root = make_policy(tmp_path / "run")
    (root / "README.md").write_text("# Mine\n")
    sent(root, "me/npmp")
    assert writable_hub.files("me/npmp")[CARD] == b"# Mine\n"


def test_a_name_without_owner_is_the_users(writable_hub, make_policy, tmp_path):
    done, _ = sent(make_policy(tmp_path / "run"), "npmp")
    assert done.repository == "me/npmp"


def test_private_is_private(writable_hub, make_policy, tmp_path):
    root = make_policy(tmp_path / "run")
    sent(root, "me/hidden", private=True)
    assert writable_hub.repositories == {"me/hidden": True}
    sent(root, "me/hidden", private=True)
    sent(root, "me/open")
    with pytest.raises(UsageError, match="public"):
        sent(root, "me/open", private=True)
    assert len(writable_hub.messages) == 3


@pytest.mark.parametrize("name", ["a/b/c", "me/two words", "me/-x", "me/" + "x" * 200])
def test_a_name_that_cannot_be_is_refused_first(make_policy, tmp_path, monkeypatch, name):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    parcel = pack(make_policy(tmp_path / "policy"))
    with pytest.raises(UsageError, match=f"No repository can be called '{name}'"):
        push(parcel, name, files=with_card(parcel, name))


def test_without_a_token_nothing_is_asked(writable_hub, make_policy, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(AccessError, match="no token") as caught:
        sent(make_policy(tmp_path / "run"), "me/npmp")
    assert "hf auth login" in caught.value.hint
    assert writable_hub.server.requests == []


@pytest.mark.parametrize("repository", ["me/npmp", "npmp"])
def test_a_bad_token_is_an_access_error_that_does_not_show_it(
    writable_hub, make_policy, tmp_path, monkeypatch, repository
):
    monkeypatch.setenv("HF_TOKEN", "hf_anotherandwrong")
    with pytest.raises(AccessError) as caught:
        sent(make_policy(tmp_path / "run"), repository)
    assert "anotherandwrong" not in f"{caught.value.message}{caught.value.hint}{caught.value.__cause__}"
    assert "HF_TOKEN" in caught.value.hint


def test_anothers_account_is_an_access_error(writable_hub, make_policy, tmp_path):
    with pytest.raises(AccessError, match="403"):
        sent(make_policy(tmp_path / "run"), "somebody/npmp")


def test_a_server_that_fails_or_is_gone_is_a_run_error(writable_hub, make_policy, tmp_path, monkeypatch):
    root = make_policy(tmp_path / "run")
    writable_hub.server.faults.append(Fault(status=500, path="repos/create", methods=("POST",)))
    with pytest.raises(RunError, match="500"):
        sent(root, "me/npmp")
    assert writable_hub.files("me/npmp") == {}
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(RunError, match="cannot be reached"):
        sent(root, "me/npmp")


def test_offline_nothing_is_asked(writable_hub, make_policy, tmp_path, monkeypatch):
    monkeypatch.setenv("MOCAPACT_OFFLINE", "1")
    with pytest.raises(RunError, match="MOCAPACT_OFFLINE"):
        sent(make_policy(tmp_path / "run"), "me/npmp")
    assert writable_hub.server.requests == []
