"""Transfers that end in the middle, by `kill -9` and by Ctrl-C, in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from http_server import Fault

from mocapact_cli.core.remote.files import RemoteFile
from mocapact_cli.core.remote.http import HttpSource
from mocapact_cli.core.remote.transfer import fetch_all

PROGRAM = Path(__file__).with_name("fetching.py")
JOBS, RATE = 3, 800_000
KILLS = 20


@pytest.fixture(scope="module")
def start():
    """Starts a transfer in another process; its arguments are those of `fetching.fetch`."""
    with subprocess.Popen(
        [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as p:

        def start(*arguments):
            p.stdin.write(json.dumps(arguments) + "\n")
            p.stdin.flush()
            return int(p.stdout.readline()), lambda: int(p.stdout.readline())

        yield start
        p.stdin.close()


@pytest.fixture
def contents(server):
    chance = random.Random(7)
    contents = {f"small/{n}": chance.randbytes(100_000) for n in range(8)} | {"large": chance.randbytes(7_000_000)}
    for name, content in contents.items():
        server.add(name, content)
    server.always = Fault(bytes_per_s=RATE)
    return contents


def complete(folder, contents):
    return {name for name, content in contents.items() if (folder / name).is_file()}


def test_any_moment_of_kill_9_is_survived(server, start, contents, tmp_path):
    chance, done = random.Random(3), set()
    for _ in range(KILLS):
        before = len(server.asked())
        process, wait = start(server.url, str(tmp_path), list(contents), JOBS)
        time.sleep(chance.uniform(0.02, 0.35))
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        assert wait() in (-signal.SIGKILL, 0)
        asked = {request.path.lstrip("/") for request in server.asked()[before:]}
        assert not asked & done, "a complete file was fetched again"
        done = complete(tmp_path, contents)
        for name in done:
            assert (tmp_path / name).read_bytes() == contents[name]
    killed = server.served
    server.always = None
    fetch_all(HttpSource(server.url), map(RemoteFile, contents), tmp_path, jobs=JOBS)
    for name, content in contents.items():
        assert (tmp_path / name).read_bytes() == content
    size = sum(map(len, contents.values()))
    assert killed > size / 4, "the kills came before anything had"
    # A kill costs what was on its way, and what waited for a twentieth of a second to be written; without resuming, it
    # would have cost nearly all that came.
    assert server.served - size < 0.65 * killed
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {Path(name).name for name in contents} | {".mocapact.lock", ".mocapact-files.jsonl"}


def test_ctrl_c_loses_nothing_that_came(server, start, contents, tmp_path):
    process, wait = start(server.url, str(tmp_path), ["large"], JOBS)
    while server.served < 400_000:
        time.sleep(0.01)
    os.kill(process, signal.SIGINT)
    assert wait() == 130
    server.always = None
    (fetched,) = fetch_all(HttpSource(server.url), [RemoteFile("large")], tmp_path)
    assert (tmp_path / "large").read_bytes() == contents["large"]
    # What was on its way in the system's own buffers is all that comes twice.
    assert fetched.resumed > 300_000
    assert server.served - len(contents["large"]) < 1_500_000


def test_ctrl_c_does_not_wait_for_a_server_that_says_nothing(server, start, contents, tmp_path):
    server.always = Fault(hang_s=60)
    process, wait = start(server.url, str(tmp_path), ["large"], JOBS)
    while not server.asked():
        time.sleep(0.01)
    began = time.monotonic()
    os.kill(process, signal.SIGINT)
    assert wait() == 130
    assert time.monotonic() - began < 30
