"""Pictures and films: the OpenGL back ends, each really tried, and ffmpeg."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from mocapact_cli.core.doctor.findings import GRAPHICS
from mocapact_cli.core.errors import first_line
from mocapact_cli.core.formatting import shortened
from mocapact_cli.core.media.gl import BACKENDS, DEBIAN_HINT, SWITCHED_OFF, requested_backend, usual_backends, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mocapact_cli.core.doctor.findings import Finding

LIMIT_S = 15.0
"""Seconds that a back end may take to draw, and ffmpeg to list its encoders."""
_ENCODER = "libx264"
_REINSTALL = "pip install --force-reinstall imageio-ffmpeg"


def look_at_opengl() -> Iterator[Finding]:
    """Draw with every back end, in processes of their own, and say with which films are made."""
    wish = requested_backend()
    if wish in SWITCHED_OFF:
        yield GRAPHICS.note("OpenGL", f"switched off: MUJOCO_GL is {wish}", "Unset MUJOCO_GL to make films")
        return
    if wish and wish not in BACKENDS:
        yield GRAPHICS.warning("MUJOCO_GL", f"is {wish!r}, which is no back end and is passed over", "Unset MUJOCO_GL")
        wish = ""
    reasons = _reasons_against([name for name in BACKENDS if sys.platform == "darwin" or name != "cgl"])
    candidates = (wish,) if wish else usual_backends()
    chosen = next((name for name in candidates if reasons.get(name, "") is None), None)
    yield _verdict(wish, chosen, reasons)
    for name, reason in reasons.items():
        if name not in (wish, chosen):
            needed = "not needed; " if chosen and reason else ""
            text = "works, too" if reason is None else f"{needed}does not work here: {reason}"
            make = GRAPHICS.ok if reason is None or chosen else GRAPHICS.note
            yield make(name, text, works=reason is None)


def _verdict(wish: str, chosen: str | None, reasons: dict[str, str | None]) -> Finding:
    if chosen is not None:
        return GRAPHICS.ok("OpenGL", f"{chosen} draws off-screen", backend=chosen)
    if wish:
        good = [name for name, reason in reasons.items() if reason is None]
        remedy = f"export MUJOCO_GL={good[0]}" if good else DEBIAN_HINT
        return GRAPHICS.problem("OpenGL", f"MUJOCO_GL asks for {wish}, which fails: {reasons.get(wish)}", remedy)
    return GRAPHICS.warning("OpenGL", "no back end works: no films and no camera images", DEBIAN_HINT)


def _reasons_against(backends: Sequence[str]) -> dict[str, str | None]:
    """Why each back end does not draw, None for those that do; all at once, since each takes a process's start."""
    reasons: dict[str, str | None] = dict.fromkeys(backends, "was not tried")

    def work(name: str) -> None:
        reason = why_not(name, timeout_s=LIMIT_S)
        reasons[name] = None if reason is None else shortened(reason)

    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in backends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reasons


def look_at_ffmpeg() -> Iterator[Finding]:
    """Run ffmpeg, and see that it has the encoder of our films."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        program = get_ffmpeg_exe()
        done = subprocess.run(
            [program, "-hide_banner", "-encoders"], capture_output=True, text=True, timeout=LIMIT_S, check=True
        )
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        yield GRAPHICS.warning("ffmpeg", f"does not run, so no .mp4: {shortened(first_line(error))}", _REINSTALL)
        return
    if _ENCODER in done.stdout:
        yield GRAPHICS.ok("ffmpeg", f"{program} with {_ENCODER}", program=program)
    else:
        yield GRAPHICS.warning(
            "ffmpeg", f"{program} has no {_ENCODER}, so no .mp4", f"{_REINSTALL}; unset IMAGEIO_FFMPEG_EXE"
        )
