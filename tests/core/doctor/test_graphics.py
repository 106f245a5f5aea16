import sys

import pytest

from mocapact_cli.core.doctor import graphics
from mocapact_cli.core.doctor.findings import Level
from mocapact_cli.core.media import gl


@pytest.fixture
def wish(monkeypatch):
    """A function that sets MUJOCO_GL as the program found it, and says which back ends work."""
    monkeypatch.setattr(sys, "platform", "linux")

    def make(name, *good):
        monkeypatch.setenv(gl.DEFERRED_VARIABLE, name)
        monkeypatch.setattr(graphics, "why_not", lambda backend, timeout_s: None if backend in good else "no driver")
        return list(graphics.look_at_opengl())

    return make


def test_the_back_end_that_films_take_is_named(wish):
    first, *others = wish("", "osmesa")
    assert (first.name, first.level, first.text) == ("OpenGL", Level.OK, "osmesa draws off-screen")
    assert {(one.name, one.level) for one in others} == {("egl", Level.OK), ("glfw", Level.OK)}
    assert all("not needed; does not work here: no driver" in one.text for one in others)


def test_without_any_the_debian_packages_are_named(wish):
    first, *others = wish("")
    assert first.level is Level.WARNING
    assert "apt-get install" in first.remedy
    assert {one.level for one in others} == {Level.NOTE}


def test_a_back_end_that_was_asked_for_and_fails_is_a_problem_with_the_one_that_works(wish):
    first = wish("egl", "osmesa")[0]
    assert (first.level, first.remedy) == (Level.PROBLEM, "export MUJOCO_GL=osmesa")
    assert "MUJOCO_GL asks for egl, which fails: no driver" in first.text


def test_a_wish_for_nothing_known_is_said(wish):
    first, second, *_ = wish("elg", "egl")
    assert (first.name, first.level) == ("MUJOCO_GL", Level.WARNING)
    assert second.level is Level.OK


def test_switched_off_is_no_fault(wish):
    (found,) = wish("disable")
    assert found.level is Level.NOTE


def test_what_works_here_is_what_films_use(opengl, monkeypatch):
    monkeypatch.setenv(gl.DEFERRED_VARIABLE, opengl)
    first = next(iter(graphics.look_at_opengl()))
    assert (first.level, first.details["backend"]) == (Level.OK, opengl)


def test_a_driver_that_crashes_takes_its_own_process_with_it(stand_ins):
    stand_ins({"mujoco/__init__": "", "mujoco/egl": "import os; os.abort()"})
    assert gl.why_not("egl") == "the driver crashed with signal 6"


def test_a_driver_that_hangs_is_given_up(stand_ins):
    stand_ins({"mujoco/__init__": "", "mujoco/egl": "import time; time.sleep(600)"})
    assert gl.why_not("egl", timeout_s=0.5) == "no picture within 0.5 s"


def test_ffmpeg_runs_and_has_our_encoder():
    (found,) = graphics.look_at_ffmpeg()
    assert found.level is Level.OK
    assert "libx264" in found.text


def test_an_ffmpeg_without_our_encoder_is_a_warning(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho V..... mpeg4\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    (found,) = graphics.look_at_ffmpeg()
    assert found.level is Level.WARNING
    assert "has no libx264" in found.text


def test_an_ffmpeg_that_does_not_run_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nothing"))
    (found,) = graphics.look_at_ffmpeg()
    assert found.level is Level.WARNING
    assert "does not run, so no .mp4" in found.text
