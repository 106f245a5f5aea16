"""ASF/AMC files in folders: what a recording's clip is called, and which skeleton belongs to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.formatting import quoted
from mocapact_cli.core.paths import existing_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TRIAL = re.compile(r"(?P<subject>\d+)_(?P<trial>\d+)", re.ASCII)


def is_recording(path: Path) -> bool:
    """Whether a file is called like a recording."""
    return path.suffix.lower() == ".amc"


def import_hint(path: Path) -> str:
    """What to do with a recording where a clip, or a file of clips, is wanted."""
    made = clip_id_of(path)
    return (
        f"Make a clip of it: mocapact clips import {quoted(path)} -o clips.h5; then it is {made} of --mocap clips.h5."
    )


def clip_id_of(path: Path) -> str:
    """`07_01.amc` is `CMU_007_01`; any other name gives its stem."""
    match = _TRIAL.fullmatch(path.stem)
    return f"CMU_{int(match['subject']):03d}_{int(match['trial']):02d}" if match else path.stem


def find_skeleton(path: Path) -> Path | None:
    """The skeleton beside a recording: the subject's, or the one of its name (less the digits at the end)."""
    match = _TRIAL.fullmatch(path.stem)
    beside = sorted(file for file in path.parent.glob("*.[aA][sS][fF]") if file.is_file())
    if match:
        subject = int(match["subject"])
        return next((file for file in beside if file.stem.isdecimal() and int(file.stem) == subject), None)
    wanted = (path.stem, path.stem.rstrip("0123456789").rstrip("_- "))
    return next((file for stem in wanted for file in beside if file.stem == stem), None)


def recordings(paths: Sequence[Path]) -> list[Path]:
    """Expand folders into the AMC files in them.

    Raises:
        NotFoundError: A path does not exist, or a folder holds no AMC file.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(existing_file(path))
            continue
        inside = sorted(file for file in path.glob("*.[aA][mM][cC]") if file.is_file())
        if not inside:
            raise NotFoundError(f"{path} holds no .amc files.", hint="Name the files, or the folder that holds them.")
        found += inside
    return found


def check_subject(recording: Path, skeleton: Path) -> None:
    """Refuse the skeleton of another subject, as far as the names tell.

    Raises:
        InvalidInputError: Both names carry a subject's number and these differ.
    """
    match = _TRIAL.fullmatch(recording.stem)
    if match and skeleton.stem.isdecimal() and int(skeleton.stem) != int(match["subject"]):
        raise InvalidInputError(
            f"{skeleton} is of another subject than {recording}.",
            hint=f"Give {match['subject']}.asf, or none: the size is then estimated from ground contact.",
        )
