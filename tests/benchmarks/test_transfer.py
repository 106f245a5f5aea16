"""How fast files come, against `curl` on the same file from the same server in one run."""

from __future__ import annotations

import contextlib
import http.server
import multiprocessing
import os
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mocapact_cli.core.remote.files import RemoteFile
from mocapact_cli.core.remote.http import HttpSource
from mocapact_cli.core.remote.transfer import fetch

BAR = 0.8
ROUNDS = 10
MEGABYTES = [500, 50]


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends the file by `sendfile`, so that the server costs as little as it can."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    file = Path()

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        size = self.file.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, stop = (int(asked[1]), int(asked[2]) + 1 if asked[2] else size) if asked else (0, size)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("ETag", '"one"')
        self.end_headers()
        if self.command == "GET":
            with self.file.open("rb") as file:
                self.connection.sendfile(file, start, stop - start)


def serve(path, port):
    Handler.file = path
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.send(server.server_address[1])
    server.serve_forever()


@contextlib.contextmanager
def serving(path: Path, megabytes: int) -> Iterator[str]:
    """A server in a process of its own, of a file that no one can compress."""
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(1_000_000))
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(path, there), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.kill()
        path.unlink()


def by_curl(url: str, folder: Path) -> Path:
    """Fetch, and flush what was written, as we do."""
    path = folder / "theirs"
    subprocess.run(["curl", "-sfo", str(path), f"{url}/file"], check=True)
    subprocess.run(["sync", str(path)], check=True)
    return path


def by_us(url: str, folder: Path) -> Path:
    return fetch(HttpSource(url), RemoteFile("file"), folder / "ours").path


def seconds(way, url: str, folder: Path, expected: int) -> float:
    folder.mkdir()
    began = time.perf_counter()
    path = way(url, folder)
    took = time.perf_counter() - began
    assert path.stat().st_size == expected
    shutil.rmtree(folder)
    return took


def measure(url: str, folder: Path, size: int) -> float:
    """Return our rate over that of curl: the median of rounds in which the two take turns at being first."""
    ratios = []
    for round_ in range(ROUNDS):
        order = (by_us, by_curl) if round_ % 2 else (by_curl, by_us)
        cost = {way: seconds(way, url, folder / "there", size) for way in order}
        ratios.append(cost[by_curl] / cost[by_us])
    # The first round warms up: imports, and the file in the system's memory.
    return statistics.median(ratios[1:])


@pytest.mark.benchmark
@pytest.mark.parametrize("megabytes", MEGABYTES)
def test_files_come_as_fast_as_curl_gets_them(tmp_path, megabytes):
    if shutil.which("curl") is None:
        pytest.skip("no curl to compare with")
    with serving(tmp_path / "served", megabytes) as url:
        ratio = measure(url, tmp_path, megabytes * 1_000_000)
    print(f"{megabytes} MB: {ratio:.2f} of the rate of curl")
    assert ratio >= BAR
