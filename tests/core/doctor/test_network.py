from datetime import UTC, datetime, timedelta

import pytest
from http_server import Fault

from mocapact_cli.core.doctor import network
from mocapact_cli.core.doctor.findings import Level

DATA, MODELS = "microsoft/mocapact-data", "microsoft/mocapact-models"


@pytest.fixture(autouse=True)
def published(hub, server, no_proxy, monkeypatch, tmp_path):
    """Servers in the place of all published sources."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name in ("HF_TOKEN", "HF_TOKEN_PATH", "MOCAPACT_AZURE_SAS_URL", "MOCAPACT_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(network, "MOCAP_HOME", f"{server.url}/dm_control")
    monkeypatch.setattr(network, "CMU", f"{server.url}/cmu")
    hub.add(f"datasets/{DATA}", "sample/small.tar.gz", b"x")
    hub.add(MODELS, "sample/experts.tar.gz", b"x")
    server.add("dm_control/cmu_2020_dfe3e9e0.h5", b"motion")
    server.add("cmu/subjects/09/09.asf", b"skeleton")


def look():
    return [finding for check in network.all_checks() for finding in check.look()]


def test_sources_that_answer_are_well(only):
    found = look()
    answering = {one.name for one in found if one.level is Level.OK}
    assert answering == {DATA, MODELS, "reference motion", "CMU recordings"}
    assert only(found, "HF_ENDPOINT").level is Level.NOTE


def test_a_source_that_lacks_what_it_had_is_a_warning(server, only):
    del server.files["cmu/subjects/09/09.asf"]
    assert only(look(), "CMU recordings").level is Level.WARNING


def test_a_busy_source_is_a_warning(hub, only):
    hub.server.always = Fault(status=503)
    found = only(look(), MODELS)
    assert found.level is Level.WARNING
    assert "503" in found.text
    assert found.remedy


def test_a_source_that_is_silent_is_given_up(server, only, monkeypatch):
    monkeypatch.setattr(network, "SILENCE_S", 0.2)
    server.always = Fault(hang_s=1.0, path="09.asf", methods=("GET", "HEAD"))
    assert only(look(), "CMU recordings").level is Level.WARNING


def test_a_stored_token_that_is_no_longer_good_is_a_problem(hub, only, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    hub.token = "hf_another"
    found = only(look(), DATA)
    assert found.level is Level.PROBLEM
    assert "HF_TOKEN" in found.remedy
    assert "secretsecret" not in str(found)


def test_offline_nobody_is_asked(hub, server, monkeypatch):
    monkeypatch.setenv("MOCAPACT_OFFLINE", "1")
    found = look()
    assert [one.text for one in found if one.name == "sources"] == ["were not asked: MOCAPACT_OFFLINE is set"]
    assert hub.server.requests == server.requests == []


@pytest.mark.parametrize(
    ("left", "level"),
    [(timedelta(days=-1), Level.PROBLEM), (timedelta(hours=2), Level.WARNING), (timedelta(days=9), Level.OK)],
)
def test_a_signature_is_held_against_the_date(left, level):
    now = datetime(2026, 5, 1, tzinfo=UTC)
    url = f"https://a.blob.core.windows.net/c?se={now + left:%Y-%m-%dT%H:%M:%SZ}&sig=abc"
    (found,) = network._signature(url, now)
    assert (found.name, found.level) == ("MOCAPACT_AZURE_SAS_URL", level)


def test_a_container_is_not_asked_with_a_signature_that_has_expired(only, monkeypatch):
    monkeypatch.setenv("MOCAPACT_AZURE_SAS_URL", "http://127.0.0.1:1/a/c?se=2020-01-01T00:00:00Z&sig=abc")
    found = look()
    assert only(found, "MOCAPACT_AZURE_SAS_URL").level is Level.PROBLEM
    assert "Azure container" not in {one.name for one in found}


def test_a_container_that_cannot_be_reached_is_a_warning(only, monkeypatch):
    monkeypatch.setenv("MOCAPACT_AZURE_SAS_URL", "http://127.0.0.1:1/account/container?sig=abcsecret")
    found = only(look(), "Azure container")
    assert found.level is Level.WARNING
    assert "abcsecret" not in str(found)


def test_a_proxy_is_said_without_its_password(only, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.example:3128")
    found = only(network.look_at_settings(), "proxy")
    assert "https by http://proxy.example:3128" in found.text
    assert "secret" not in found.text
