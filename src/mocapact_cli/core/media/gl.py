"""Off-screen OpenGL: which back end works on this machine, and a context of it.

MuJoCo and dm_control pick a back end while they are imported and fail to import where it is broken. Here nothing is
loaded before a picture is wanted, so that a machine without OpenGL still simulates, trains and evaluates.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFERRED_VARIABLE = "MOCAPACT_GL"
"""Where `defer_gl` keeps the user's MUJOCO_GL."""
SWITCHED_OFF = frozenset({"disable", "disabled", "off", "false", "0"})
BACKENDS = ("egl", "osmesa", "glfw", "cgl")
_USUAL = {"linux": ("egl", "osmesa"), "darwin": ("cgl",)}
DEBIAN_HINT = "On Debian or Ubuntu: apt-get install -y libegl1 libgl1 libosmesa6"

_PROBE = """
import importlib, mujoco
context = importlib.import_module("mujoco.{backend}").GLContext(16, 16)
context.make_current()
model = mujoco.MjModel.from_xml_string("<mujoco/>")
mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
"""


def defer_gl() -> None:
    """Keep MuJoCo and dm_control from loading OpenGL when they are imported; the user's MUJOCO_GL is remembered.

    To be called before either is imported; `make_context` then loads the back end when the first frame is drawn.
    """
    # A process started by one that has deferred already inherits the wish, which may be empty.
    os.environ.setdefault(DEFERRED_VARIABLE, os.environ.get("MUJOCO_GL", ""))
    os.environ["MUJOCO_GL"] = "disable"


@functools.cache
def find_backend() -> str:
    """Return the back end to draw with: the one that MUJOCO_GL names, else the first that works here.

    Each candidate is tried in a process of its own, since a broken driver can take a process down.

    Raises:
        MissingDependencyError: OpenGL is switched off, or none works; the hint names the Debian packages.
    """
    candidates = _candidates()
    for backend in candidates:
        if _works(backend):
            return backend
    hint = f"Unset MUJOCO_GL to let others be tried. {DEBIAN_HINT}" if requested_backend() in BACKENDS else DEBIAN_HINT
    raise MissingDependencyError(f"No off-screen OpenGL works here (tried {', '.join(candidates)}).", hint=hint)


def make_context(width: int, height: int) -> Any:
    """Return a current OpenGL context with a buffer of the given size in pixels; call its `free()` when done.

    Raises:
        MissingDependencyError: No OpenGL back end works here.
    """
    backend = find_backend()
    context = importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
    context.make_current()
    return context


def _candidates() -> Sequence[str]:
    requested = requested_backend()
    if requested in SWITCHED_OFF:
        hint = "Unset MUJOCO_GL, or set it to egl or osmesa."
        raise MissingDependencyError(f"OpenGL is switched off: MUJOCO_GL is {requested}.", hint=hint)
    if requested in BACKENDS:
        return (requested,)
    return usual_backends()


def usual_backends() -> Sequence[str]:
    """Return the back ends that are tried on this system where MUJOCO_GL names none, the first one first."""
    return _USUAL.get(sys.platform, ("glfw",))


def requested_backend() -> str:
    """Return the back end that MUJOCO_GL named when the program started, in lower case; empty where it named none."""
    return os.environ.get(DEFERRED_VARIABLE, os.environ.get("MUJOCO_GL", "")).lower().strip()


def _works(backend: str) -> bool:
    return why_not(backend) is None


def why_not(backend: str, *, timeout_s: float = 60.0) -> str | None:
    """Return in one line why a back end does not draw on this machine; None where it does.

    It is tried in a process of its own, since a broken driver can take a process down.

    Args:
        backend: One of `BACKENDS`.
        timeout_s: Seconds after which it counts as broken.
    """
    import subprocess  # the command line imports this module at its start, which has to be quick

    environment = {**os.environ, "MUJOCO_GL": "disable"}
    environment.pop("PYOPENGL_PLATFORM", None)
    command = [sys.executable, "-P", "-c", _PROBE.format(backend=backend)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return f"no picture within {timeout_s:g} s"
    if done.returncode < 0:
        return f"the driver crashed with signal {-done.returncode}"
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return None if done.returncode == 0 else (said[-1] if said else f"it ended with {done.returncode}")
