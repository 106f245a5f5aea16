"""Policies for many clips, with what they are evaluated on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import MocapactError, NotFoundError, UsageError
from mocapact_cli.core.interop.policies import load_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.policies.base import Policy

_RUN_DEPTH = 3
"""Folders above a checkpoint in which its run's record may lie."""


def named_pairs(names: Sequence[str], mocap: Sequence[Path] | None) -> list[tuple[Clip, Snippet]]:
    """Return the (clip, snippet) pairs of snippets, and of clips, which are taken whole.

    Raises:
        NotFoundError: A clip's reference motion is not at hand.
        InvalidInputError: A file is damaged.
    """
    return _pairs(names, mocap)


def open_subjects(
    path: Path, snippets: Sequence[str] | None, mocap: Sequence[Path] | None, *, device: str = "cpu"
) -> tuple[Policy, list[tuple[Clip, Snippet]]]:
    """Open a policy and what it is to track: the given snippets, or those that its run evaluated on.

    Raises:
        NotFoundError: The policy or a clip does not exist.
        InvalidInputError: The policy is damaged.
        UsageError: Nothing says what it is to track.
    """
    policy, record = load_policy(path, device=device), run_record(path)
    names = snippets or record.get("snippets") or ()
    if not names:
        raise UsageError(f"{path} does not say what it was trained on.", hint="Name --snippets.")
    sources = mocap or [place for place in map(Path, record.get("mocap", ())) if place.is_file()]
    return policy, _pairs(names, sources)


def run_record(path: Path) -> dict[str, Any]:
    """Return the record of the run that a policy lies in; empty where there is none."""
    for folder in [path, *path.absolute().parents][: _RUN_DEPTH + 1]:
        try:
            record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return record if isinstance(record, dict) else {}
    return {}


def _pairs(names: Sequence[str], mocap: Sequence[Path] | None) -> list[tuple[Clip, Snippet]]:
    library = open_library(list(mocap or ()))
    clips: dict[str, Clip] = {}
    pairs = []
    for snippet in (_parsed(library, name) for name in names):
        if snippet.clip_id not in clips:
            clips[snippet.clip_id] = _found(library, snippet.clip_id)
        pairs.append((clips[snippet.clip_id], snippet))
    return pairs


def _parsed(library: Any, name: str) -> Snippet:
    try:
        return Snippet.parse(name)
    except MocapactError:
        found: Snippet = library.resolve(name)
        return found


def _found(library: Any, clip_id: str) -> Clip:
    try:
        clip: Clip = library.get(clip_id)
    except NotFoundError as error:
        hint = "Give the file that holds it with --mocap; training needs none with --n-eval-episodes 0."
        raise NotFoundError(error.message, hint=hint) from error
    return clip
