from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from mocapact_cli.core.errors import MissingDependencyError, RunError, UsageError
from mocapact_cli.core.fleet import ray_engine
from mocapact_cli.core.fleet.plan import read_plan
from mocapact_cli.core.fleet.ray_engine import RayEngine, check_answers


def test_without_ray_the_extra_is_named(make_plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    folder = make_plan("demo_reach-0-30")
    with pytest.raises(MissingDependencyError) as caught:
        RayEngine(folder, read_plan(folder))
    assert caught.value.hint == "pip install 'mocapact[ray]'"


def test_a_closed_port_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        with pytest.raises(RunError, match="Nothing answers"):
            check_answers(address)


@pytest.mark.parametrize("address", ["head", "head:x", ":6379", "ray://", "1:2:3"])
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        check_answers(address)


def test_what_listens_but_does_not_answer_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(ray_engine, "CONNECT_LIMIT", 4.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(RunError, match="did not answer in 4 s") as caught:
            check_answers(address)
    assert "--address" in caught.value.hint


def test_no_cluster_at_all_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(RunError, match="no Ray cluster") as caught:
        check_answers("auto")
    assert "ray start --head" in caught.value.hint
