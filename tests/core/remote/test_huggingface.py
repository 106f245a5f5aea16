import hashlib

import pytest
from http_server import Fault
from hub import COMMIT

from mocapact_cli.core.errors import AccessError, NotFoundError
from mocapact_cli.core.remote.files import Checksum, TransientError
from mocapact_cli.core.remote.huggingface import HuggingFaceSource, token

CONTENT = bytes(range(256)) * 1000
REPOSITORY = "owner/data"


@pytest.fixture
def source(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    hub.add(f"datasets/{REPOSITORY}", "all/small/small_1.tar.gz", CONTENT)
    hub.add(f"datasets/{REPOSITORY}", "all/small/small_2.tar.gz", CONTENT[:500])
    hub.add(f"datasets/{REPOSITORY}", "sample/small.tar.gz", b"sample")
    return HuggingFaceSource(REPOSITORY, "dataset")


def test_the_redirect_names_size_version_checksum_and_commit(source):
    file = source.stat("all/small/small_1.tar.gz")
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert (file.size, file.version, file.checksum) == (len(CONTENT), digest, Checksum("sha256", digest))
    assert source.revision == COMMIT


def test_all_later_requests_are_for_the_commit_of_the_first_answer(source, hub):
    file = source.stat("sample/small.tar.gz")
    assert b"".join(source.read(file)) == b"sample"
    asked = [request.path for request in hub.server.requests]
    assert "/resolve/main/" in asked[0]
    assert f"/resolve/{COMMIT}/" in asked[-1]


def test_ranges_are_those_asked_for(source):
    file = source.stat("all/small/small_1.tar.gz")
    assert b"".join(source.read(file, 1000, 3000)) == CONTENT[1000:3000]
    assert b"".join(source.read(file, len(CONTENT) - 7)) == CONTENT[-7:]


def test_a_folder_is_listed_over_several_pages_with_what_stat_says(source, hub):
    hub.page = 1
    found = list(source.files("all/small/"))
    assert [file.name for file in found] == ["all/small/small_1.tar.gz", "all/small/small_2.tar.gz"]
    assert found == [source.stat(file.name) for file in found]


def test_a_list_that_breaks_off_is_worth_another_attempt(source, hub):
    hub.server.faults.append(Fault(cut=20))
    with pytest.raises(TransientError, match="broke off its list of files") as raised:
        list(source.files("all/small/"))
    assert raised.value.__cause__ is raised.value.__context__ is None
    assert len(list(source.files("all/small/"))) == 2


def test_a_model_has_another_address(hub, source):
    hub.add("owner/models", "gpt.ckpt", b"weights")
    models = HuggingFaceSource("owner/models", "model")
    assert [file.name for file in models.files("")] == ["gpt.ckpt"]
    assert b"".join(models.read(models.stat("gpt.ckpt"))) == b"weights"


def test_a_signature_of_the_storage_that_ran_out_is_replaced(source, hub):
    file = source.stat("all/small/small_2.tar.gz")
    hub.uses = 0
    with pytest.raises(TransientError):
        list(source.read(file))
    hub.uses = 1
    assert b"".join(source.read(file)) == CONTENT[:500]


def test_the_token_goes_to_the_endpoint_alone_and_is_never_shown(source, hub, monkeypatch):
    secret = "hf_abcdefghijklmnop"
    hub.token = secret
    with pytest.raises(AccessError, match="refuses access") as caught:
        source.stat("sample/small.tar.gz")
    assert "Set HF_TOKEN" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", secret)
    allowed = HuggingFaceSource(REPOSITORY, "dataset")
    # The storage of the test fails at once where a token comes along.
    assert b"".join(allowed.read(allowed.stat("sample/small.tar.gz"))) == b"sample"
    assert secret not in repr(allowed)
    monkeypatch.setenv("HF_TOKEN", "hf_wrongwrongwrong")
    refused = HuggingFaceSource(REPOSITORY, "dataset")
    for act in (lambda: refused.stat("sample/small.tar.gz"), lambda: list(refused.files("all"))):
        with pytest.raises(AccessError) as caught:
            act()
        assert "may not read it" in caught.value.hint
        assert "wrongwrong" not in f"{caught.value} {caught.value.hint} {caught.value.__context__}"


def test_the_token_of_a_login_is_taken(monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert token() is None
    (tmp_path / "token").write_text("hf_stored\n")
    assert token() == "hf_stored"
    monkeypatch.setenv("HF_TOKEN", "hf_given")
    assert token() == "hf_given"


@pytest.mark.parametrize(("status", "code"), [(401, "RepoNotFound"), (403, "GatedRepo")])
def test_gated_and_private_repositories_are_refused_with_the_next_step(source, hub, status, code):
    hub.refusals[f"datasets/{REPOSITORY}"] = (status, code)
    with pytest.raises(AccessError, match=code) as caught:
        source.stat("sample/small.tar.gz")
    assert f"{hub.url}/datasets/{REPOSITORY}" in caught.value.hint


def test_a_missing_file_is_not_found(source):
    with pytest.raises(NotFoundError, match=r"has no sample/large\.tar\.gz"):
        source.stat("sample/large.tar.gz")
    with pytest.raises(NotFoundError):
        list(source.files("all/large"))
