import hashlib
import socket
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from mocapact_cli.core.errors import AccessError, NotFoundError, RunError
from mocapact_cli.core.remote.azure import AzureSource
from mocapact_cli.core.remote.files import ChangedError, Checksum, RemoteFile, TransientError
from mocapact_cli.core.remote.retries import UnreachableError

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def container(azurite, request):
    made = azurite.container(f"c{time.monotonic_ns()}")
    made.add("dataset/small/CMU_016_22.hdf5", CONTENT)
    made.add("dataset/small/CMU_016_25.hdf5", b"other")
    made.add("experts/CMU_016_22-0-82/clip_info.json", b"{}")
    return made


def signature(url: str) -> str:
    return parse_qs(urlsplit(url).query)["sig"][0]


def test_blobs_are_listed_with_size_version_and_checksum(container):
    source = AzureSource(container.sas_url())
    found = list(source.files("dataset/small/"))
    assert [file.name for file in found] == ["dataset/small/CMU_016_22.hdf5", "dataset/small/CMU_016_25.hdf5"]
    assert found[0].size == len(CONTENT)
    assert found[0].checksum == Checksum("md5", hashlib.md5(CONTENT).hexdigest())
    assert found[0] == source.stat(found[0].name)


def test_ranges_are_those_asked_for(container):
    source = AzureSource(container.sas_url())
    file = source.stat("dataset/small/CMU_016_22.hdf5")
    assert b"".join(source.read(file)) == CONTENT
    assert b"".join(source.read(file, 100, 300)) == CONTENT[100:300]
    assert b"".join(source.read(file, len(CONTENT) - 5)) == CONTENT[-5:]


def test_a_blob_that_changes_is_not_mixed_with_what_it_was(container):
    source = AzureSource(container.sas_url())
    file = source.stat("dataset/small/CMU_016_25.hdf5")
    container.add(file.name, b"outer")
    with pytest.raises(ChangedError):
        b"".join(source.read(file, 2))


def test_a_public_container_needs_no_signature(azurite):
    container = azurite.container(f"p{time.monotonic_ns()}", public="container")
    container.add("gpt.ckpt", b"weights")
    source = AzureSource(container.url)
    assert [file.name for file in source.files("")] == ["gpt.ckpt"]
    assert b"".join(source.read(source.stat("gpt.ckpt"))) == b"weights"


def test_a_missing_blob_and_a_missing_container_are_not_found(container, azurite):
    with pytest.raises(NotFoundError, match=r"has no dataset/small/CMU_999_99\.hdf5"):
        AzureSource(container.sas_url()).stat("dataset/small/CMU_999_99.hdf5")
    with pytest.raises((NotFoundError, AccessError)):
        list(AzureSource(container.sas_url().replace("/c", "/d", 1)).files(""))


def test_an_expired_signature_is_known_before_anything_is_asked(container):
    with pytest.raises(AccessError, match="expired on") as caught:
        AzureSource(container.sas_url(hours=-1))
    assert "MOCAPACT_AZURE_SAS_URL" in caught.value.hint


@pytest.mark.parametrize("act", ["stat", "files", "read"])
def test_a_wrong_signature_is_refused_and_not_shown(container, act):
    url = container.sas_url().replace("sig=", "sig=AAAA")
    source = AzureSource(url)
    acts = {
        "stat": lambda: source.stat("gpt.ckpt"),
        "files": lambda: list(source.files("")),
        "read": lambda: list(source.read(RemoteFile("gpt.ckpt", 3))),
    }
    with pytest.raises(AccessError) as caught:
        acts[act]()
    said = f"{caught.value} {caught.value.hint} {caught.value.__context__} {source!r}"
    assert "ask for another SAS URL" in said
    assert signature(url) not in said
    assert "sig=" not in said


def test_a_private_container_without_a_signature_says_what_to_give(container):
    source = AzureSource(container.url)
    for act in (lambda: list(source.files("")), lambda: source.stat("gpt.ckpt")):
        with pytest.raises((AccessError, NotFoundError)) as caught:
            act()
        assert "MOCAPACT_AZURE_SAS_URL" in caught.value.hint


def test_a_signature_that_may_only_write_cannot_list(container):
    with pytest.raises(AccessError):
        list(AzureSource(container.sas_url(rights="w")).files(""))


def test_an_account_is_no_container():
    with pytest.raises(RunError, match="no container"):
        AzureSource("https://mocapact.blob.core.windows.net/?sv=1&sig=abc")


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_list_without_a_network_is_worth_another_attempt(closed_port):
    source = AzureSource(f"http://127.0.0.1:{closed_port}/account/container?sv=1&sig=SECRET")
    with pytest.raises(UnreachableError, match="refuses connections") as caught:
        list(source.files(""))
    assert "SECRET" not in f"{caught.value} {caught.value.__context__}"


def test_a_busy_server_is_worth_another_attempt(server):
    from http_server import Fault

    source = AzureSource(f"{server.url}/account/container?sv=1&sig=SECRET")
    for status in (429, 500, 503):
        server.faults.append(Fault(status=status))
        with pytest.raises(TransientError):
            list(source.files(""))


def test_nothing_is_asked_offline(server, monkeypatch):
    monkeypatch.setenv("MOCAPACT_OFFLINE", "1")
    source = AzureSource(f"{server.url}/account/container?sv=1&sig=SECRET")
    for act in (lambda: list(source.files("")), lambda: source.stat("x")):
        with pytest.raises(RunError, match="MOCAPACT_OFFLINE"):
            act()
    assert not server.requests
