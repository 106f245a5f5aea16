from __future__ import annotations

import socket
import sys

import pytest

from mocapact_cli.core.errors import MissingDependencyError, RunError, UsageError
from mocapact_cli.core.viewer.opening import open_source
from mocapact_cli.core.viewer.server import check_viser, serve


@pytest.fixture
def busy():
    """A port that somebody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def test_without_viser_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(MissingDependencyError) as caught:
        check_viser()
    assert caught.value.hint == "pip install 'mocapact[viewer]'"


def test_a_taken_port_is_named_and_another_one_found(busy: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("viser")
    with pytest.raises(RunError, match=f"Port {busy} of 127.0.0.1"), serve(open_source("demo_reach"), port=busy):
        pass
    monkeypatch.setattr("mocapact_cli.core.viewer.server.PORT", busy)
    with serve(open_source("demo_reach")) as page:
        assert page.url.startswith("http://127.0.0.1:")
        assert int(page.url.rpartition(":")[2]) > busy


def test_a_page_is_for_this_machine_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("viser")
    with serve(open_source("demo_reach")) as page:
        assert not page.exposed
        assert page.session._server.get_host() == "127.0.0.1"
        assert page.session._server.request_share_url() is None
    with serve(open_source("demo_reach"), host="0.0.0.0") as page:
        assert page.exposed
        assert page.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("host", "error"), [("192.0.2.1", RunError), ("no.such.host.invalid", UsageError), ("no..such", UsageError)]
)
def test_an_address_that_is_not_ours_is_refused(host: str, error: type[Exception]) -> None:
    pytest.importorskip("viser")
    with pytest.raises(error), serve(open_source("demo_reach"), host=host):
        pass


def test_what_is_shown_is_described() -> None:
    pytest.importorskip("viser")
    with serve(open_source("demo_walk-10-60")) as page:
        document = page.described()
    assert document.pop("url").startswith("http://127.0.0.1:")
    assert document == {
        "kind": "clips",
        "name": "demo_walk-10-60",
        "motions": 1,
        "shown": {"motion": "demo_walk", "part": 1, "start_step": 10, "steps": 50},
    }


def test_a_source_that_cannot_be_shown_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("viser")
    closed: list[str] = []
    for host in ("127.0.0.1", "no..such"):
        source = open_source("demo_reach")
        monkeypatch.setattr(source, "close", lambda host=host: closed.append(host))
        monkeypatch.setattr(source, "take", failing)
        with pytest.raises(UsageError), serve(source, host=host):
            pass
    assert closed == ["127.0.0.1", "no..such"]


def failing(request: object) -> None:
    raise UsageError("It cannot be made.")
