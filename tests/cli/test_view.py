from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, find_browser
from PIL import Image

from mocapact_cli.cli.view import _warn_of_idle
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips

PROGRAM = Path(sys.executable).with_name("mocapact")
PROGRAM_TIMEOUT = 60
DRAWN = "(window.__viserTestpoints?.rendererInfo?.render.triangles ?? 0) > 1000"
STEP = "Number(document.body.innerText.match(/, step (\\d+)/)?.[1] ?? -1)"


def shown(text: str) -> str:
    return f"[...document.querySelectorAll('button')].some((one) => one.innerText.trim() === '{text}')"


def click(text: str) -> str:
    return f"[...document.querySelectorAll('button')].find((one) => one.innerText.trim() === '{text}').click()"


@pytest.fixture
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that draws in 3D without a graphics card."""
    pytest.importorskip("viser")
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium is installed")
    running = Browser(program, tmp_path_factory.mktemp("chromium"), webgl=True)
    yield running
    running.close()


@contextlib.contextmanager
def viewing(folder: Path, home: Path, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """The installed program, serving, and the document that it has printed."""
    command = [str(PROGRAM), "view", *map(str, arguments), "--no-open", "--json"]
    environment = {**os.environ, "MOCAPACT_HOME": str(home)}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        try:
            said = "".join(iter(running.stdout.readline, "}\n")) + "}"
            yield running, json.loads(said)
        finally:
            running.kill()


def picture(screen: Browser, path: Path) -> np.ndarray:
    screen.screenshot(path)
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB")).astype(int)


def test_a_page_shows_the_walker_and_plays(screen: Browser, mocapact_home: Path, tmp_path: Path) -> None:
    with viewing(tmp_path, mocapact_home, "demo_walk") as (running, document):
        assert document["shown"] == {"motion": "demo_walk", "part": 0, "start_step": 0, "steps": 190}
        screen.open(document["url"], 640, 480)
        screen.wait(f"{DRAWN} && {shown('Pause')}", tries=600)
        screen.evaluate(click("Pause"))
        screen.wait(shown("Play"))
        paused, still = screen.evaluate(STEP), picture(screen, tmp_path / "paused.png")
        assert screen.evaluate(STEP) == paused >= 0
        # The walker is brown, the floor and the panels are not.
        red, green, blue = np.moveaxis(still, 2, 0)
        assert np.count_nonzero((red > green + 15) & (green > blue + 15)) > 500
        screen.evaluate(click("Play"))
        screen.wait(f"{STEP} !== {paused}")
        assert (picture(screen, tmp_path / "playing.png") != still).any(axis=2).sum() > 500
        running.send_signal(signal.SIGINT)
        rest, said = running.communicate(timeout=PROGRAM_TIMEOUT)
        assert (running.returncode, rest.strip(), said) == (0, "", "Closed.\n")
    outside = [address for address in screen.requests if not address.startswith(document["url"])]
    assert outside == []


def test_people_are_told_where_it_is_and_that_others_can_open_it(mocapact_home: Path, tmp_path: Path) -> None:
    pytest.importorskip("viser")
    write_clips(tmp_path / "two.h5", [demo("demo_reach"), demo("demo_squat")])
    options = ("two.h5", "--snippet", "demo_squat", "--host", "0.0.0.0")
    with viewing(tmp_path, mocapact_home, *options) as (running, document):
        assert (document["kind"], document["motions"]) == ("clips", 2)
        assert document["shown"]["motion"] == "demo_squat"
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=PROGRAM_TIMEOUT)
        assert running.returncode == 0
        assert "there is no password" in said


def test_a_port_that_is_taken_is_an_error(mocapact, tmp_path: Path) -> None:
    pytest.importorskip("viser")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = mocapact("view", "demo_walk", "--port", port, "--no-open")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert f"Port {port} of 127.0.0.1 cannot be had" in outcome.stderr
    assert "Leave out --port" in outcome.stderr


@pytest.mark.parametrize(("target", "code"), [("demo_wlak", 3), ("nothing/there", 3), ("notes.txt", 4)])
def test_what_cannot_be_shown_ends_in_one_message(mocapact, tmp_path: Path, target: str, code: int) -> None:
    pytest.importorskip("viser")
    (tmp_path / "notes.txt").write_text("nothing")
    outcome = mocapact("view", target, "--no-open")
    assert (outcome.code, outcome.stdout) == (code, "")
    assert "Traceback" not in outcome.stderr
    assert mocapact("view", target, "--no-open", "--json").json["error"]["hint"]


def test_without_viser_the_message_is_how_to_get_it(installed, tmp_path: Path) -> None:
    (tmp_path / "viser.py").write_text("raise ImportError('viser')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    outcome = installed("view", "demo_walk", PYTHONPATH=path)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert "pip install 'mocapact[viewer]'" in outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) == 2


def test_options_that_change_nothing_are_named(fresh_out, capsys) -> None:
    _warn_of_idle("clips", ["--episode", "--act-noise"])
    assert "--episode, --act-noise change nothing here" in capsys.readouterr().err
    _warn_of_idle("expert", ["--act-noise", "--start-step"])
    assert capsys.readouterr().err == ""
