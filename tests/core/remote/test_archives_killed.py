"""A process that extracts an archive is killed at any moment; others go on, and nothing is lost or fetched twice."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from http_server import Fault, Server
from tar_archives import content, flushed, tar, zipped

from mocapact_cli.core.remote.archives import listing
from mocapact_cli.core.remote.http import HttpSource

KILLS = 20
SPACING = 1 << 15
FILES = {f"clips/{index}.hdf5": content(40_000 + 60_000 * (index % 4), index) for index in range(20)}
CONTENT = tar(FILES.items())


class Extracting:
    """Processes that do, one after the other."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("extracting.py")
        self.parent = subprocess.Popen(
            [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> "Extracting":
        return self

    def __exit__(self, *_: object) -> None:
        self.parent.stdin.close()
        self.parent.wait(timeout=30)

    def run(self, *line: object, until: Callable[[], bool] | None = None) -> int:
        """Have one run, and be killed at some time; its exit status."""
        self.parent.stdin.write(" ".join(map(str, line)) + "\n")
        child = int(self.parent.stdout.readline())
        while until is not None and not until():
            time.sleep(0.001)
        if until is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return int(self.parent.stdout.readline())


def complete(folder: Path):
    return {f"clips/{path.name}": path.read_bytes() for path in folder.glob("clips/*") if path.name[0] != "."}


@pytest.mark.parametrize("archive", [zipped(CONTENT), flushed(CONTENT, 70_000)], ids=["gzip", "pigz"])
def test_killed_at_random_moments(server: Server, tmp_path: Path, archive: bytes):
    server.add("a.tar.gz", archive)
    server.always = Fault(bytes_per_s=1_000_000)
    chance, killed, finished = random.Random(0), 0, {}
    with Extracting() as processes:
        while killed < KILLS // 2:
            moment = (server.served + chance.randrange(len(archive) // 7), time.monotonic() + 5)
            ended = processes.run(
                *(server.url, "a.tar.gz", tmp_path, SPACING),
                until=lambda moment=moment: server.served >= moment[0] or time.monotonic() > moment[1],
            )
            assert ended == signal.SIGKILL
            killed += 1
            found = complete(tmp_path)
            assert found == {name: FILES[name] for name in found}
            times = {name: (tmp_path / name).stat().st_mtime_ns for name in found}
            assert finished.items() <= times.items()
            finished = times
        assert finished
        server.always, before = None, server.served
        assert processes.run(server.url, "a.tar.gz", tmp_path, SPACING) == 0
    assert complete(tmp_path) == FILES
    assert not list(tmp_path.rglob("*.partial"))
    assert listing(tmp_path, HttpSource(server.url).stat("a.tar.gz"))[1]
    # A kill costs what lies behind the last point, what was being searched for the next one, and what was under way.
    assert server.served < len(archive) + killed * 5.5 * SPACING
    assert server.served - before < len(archive) * 0.85
