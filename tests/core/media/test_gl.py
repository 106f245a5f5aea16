import os
import subprocess
import sys

import pytest

from mocapact_cli.core.errors import MissingDependencyError
from mocapact_cli.core.media import gl


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.delenv(gl.DEFERRED_VARIABLE, raising=False)
    gl.find_backend.cache_clear()
    yield
    gl.find_backend.cache_clear()


def works_with(monkeypatch, *good):
    tried = []
    monkeypatch.setattr(gl, "_works", lambda backend: tried.append(backend) or backend in good)
    return tried


def test_the_first_back_end_that_works_is_taken(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(gl.sys, "platform", "linux")
    tried = works_with(monkeypatch, "osmesa")
    assert gl.find_backend() == "osmesa"
    assert tried == ["egl", "osmesa"]


def test_the_users_choice_is_respected(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    tried = works_with(monkeypatch, "egl", "osmesa")
    assert gl.find_backend() == "osmesa"
    assert tried == ["osmesa"]


def test_the_users_choice_is_not_replaced_by_another(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "egl")
    works_with(monkeypatch, "osmesa")
    with pytest.raises(MissingDependencyError, match="tried egl") as caught:
        gl.find_backend()
    assert "Unset MUJOCO_GL" in caught.value.hint


def test_the_error_names_the_debian_packages(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "")
    works_with(monkeypatch)
    with pytest.raises(MissingDependencyError) as caught:
        gl.find_backend()
    assert "libegl1" in caught.value.hint
    assert "MUJOCO_GL" not in caught.value.hint
    assert "libosmesa6" in caught.value.hint


def test_switched_off_is_said(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disable")
    with pytest.raises(MissingDependencyError, match="switched off"):
        gl.find_backend()


@pytest.mark.parametrize("wish", ["", "osmesa"])
def test_deferring_remembers_the_wish_also_twice(monkeypatch, wish):
    monkeypatch.setenv("MUJOCO_GL", wish)
    gl.defer_gl()
    gl.defer_gl()
    assert os.environ["MUJOCO_GL"] == "disable"
    assert os.environ[gl.DEFERRED_VARIABLE] == wish
    works_with(monkeypatch, "egl", "osmesa", "glfw", "cgl")
    assert gl.find_backend() == (wish or gl.usual_backends()[0])


def test_a_broken_choice_does_not_stop_the_import_of_mujoco():
    script = "from mocapact_cli.core.media.gl import defer_gl; defer_gl(); import mujoco"
    environment = {**os.environ, "MUJOCO_GL": "nonsense"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=False)
    assert done.returncode == 0


def test_a_back_end_that_does_not_exist_does_not_work():
    assert not gl._works("nonsense")
