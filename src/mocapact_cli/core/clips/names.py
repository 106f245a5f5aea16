"""The names of the clips at hand, at once: those in a file are remembered, so that it need not be opened again."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.clips.built_in import NUM_STEPS
from mocapact_cli.core.errors import MocapactError
from mocapact_cli.core.json_files import read_json_object, write_json
from mocapact_cli.core.paths import cache_dir, data_dir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FORMAT = 1


def clips_at_hand(mocap: Sequence[Path] = ()) -> dict[str, int]:
    """Return the number of poses of every clip that a command would find; files that cannot be read are left out.

    Args:
        mocap: Mocap files beside those in `MOCAPACT_HOME/data/mocap`.
    """
    found: dict[str, int] = {}
    for path in (*mocap, *sorted(data_dir("mocap").glob("*.h5"))):
        for clip_id, steps in clips_in(path).items():
            found.setdefault(clip_id, steps)
    return {**found, **{clip_id: steps for clip_id, steps in NUM_STEPS.items() if clip_id not in found}}


def clips_in(path: Path) -> dict[str, int]:
    """Return the number of poses of every clip in a mocap file; nothing where it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return {}
    state = {"format": _FORMAT, "size": status.st_size, "modified_ns": status.st_mtime_ns}
    note = _note(path)
    known = _remembered(note)
    if known is not None and {name: known.get(name) for name in state} == state:
        clips: dict[str, int] = known["clips"]
        return clips
    clips = _read(path)
    # The note only saves time.
    with contextlib.suppress(OSError):
        write_json(note, {**state, "clips": clips})
    return clips


def _note(path: Path) -> Path:
    digest = hashlib.sha256(str(path.absolute()).encode(errors="surrogateescape")).hexdigest()[:16]
    return cache_dir() / "clips" / f"{digest}.json"


def _remembered(note: Path) -> dict[str, Any] | None:
    try:
        found = read_json_object(note)
    except (MocapactError, OSError, UnicodeDecodeError):
        return None
    clips = found.get("clips")
    sound = isinstance(clips, dict) and all(isinstance(steps, int) for steps in clips.values())
    return found if sound else None


def _read(path: Path) -> dict[str, int]:
    # h5py takes longer than all the rest together.
    from mocapact_cli.core.clips.mocap_h5 import MocapFile

    try:
        return {clip_id: steps for clip_id, (steps, _) in MocapFile(path).table().items()}
    except (MocapactError, OSError, KeyError, ValueError):
        return {}
