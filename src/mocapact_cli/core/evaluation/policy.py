"""Policies for many clips, with what they are evaluated on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.errors import NotFoundError, UsageError
from mocapact_cli.core.formatting import quoted
from mocapact_cli.core.interop.expert_folder import find_expert_folders
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.interop.policy_places import checkpoint_in, exported_in
from mocapact_cli.core.interop.run_files import CONFIG
from mocapact_cli.core.interop.transfer_folder import find_transfer_models
from mocapact_cli.core.paths import existing_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.library import ClipLibrary
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.policies.base import Policy

_MOCAP_HINT = "Give the file that holds it with --mocap"
_RUN_DEPTH = 3
"""Folders above a checkpoint in which its run's record may lie."""


def named_pairs(names: Sequence[str], mocap: Sequence[Path] | None) -> list[tuple[Clip, Snippet]]:
    """Return the (clip, snippet) pairs of snippets, and of clips, which are taken whole.

    Raises:
        NotFoundError: A clip's reference motion is not at hand.
        InvalidInputError: A file is damaged, or a snippet lies outside its clip.
    """
    return _pairs(names, mocap, f"{_MOCAP_HINT}; training needs none with --n-eval-episodes 0.")


def open_subjects(
    path: Path, snippets: Sequence[str] | None, mocap: Sequence[Path] | None, *, device: str = "cpu"
) -> tuple[Policy, list[tuple[Clip, Snippet]]]:
    """Open a policy and what it is to track: the given snippets, or those that its run evaluated on.

    Args:
        path: A policy for many clips, or a folder that holds one.
        snippets: Names of snippets, or of clips to be tracked as a whole.
        mocap: Files with the clips; default: those of the run's record, then the usual places.
        device: Where the network runs.

    Raises:
        NotFoundError: The policy or a clip does not exist.
        InvalidInputError: The policy is damaged, or a snippet lies outside its clip.
        UsageError: It is an expert, or nothing says what it is to track.
    """
    _refuse_experts(path)
    policy, record = load_policy(path, device=device), run_record(path)
    names = snippets or record.get("snippets") or ()
    if not names:
        hint = "Name --snippets, such as demo_squat; they may be given several times."
        raise UsageError(f"{path} does not say what it was trained on.", hint=hint)
    sources = mocap or existing_files(record.get("mocap"))
    hint = f"{_MOCAP_HINT}." if snippets else f"{_MOCAP_HINT}, or name others with --snippets."
    return policy, _pairs(names, sources, hint, typed=bool(snippets))


def policy_file(path: Path) -> Path:
    """Return the file that is opened for a policy's path: of a run's folder, its last checkpoint."""
    return checkpoint_in(path) or path


def run_record(path: Path) -> dict[str, Any]:
    """Return the record of the run that a policy lies in; empty where there is none."""
    for folder in [path, *path.absolute().parents][: _RUN_DEPTH + 1]:
        try:
            record = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return record if isinstance(record, dict) else {}
    return {}


def _refuse_experts(path: Path) -> None:
    """Lead those on who give a folder of experts, one of a policy for a task, or one without a policy."""
    if not path.is_dir() or checkpoint_in(path) is not None or exported_in(path) is not None:
        return
    if find_transfer_models(path):
        raise UsageError(
            f"{path} is a policy for a task, which tracks nothing.",
            hint=f"Evaluate it with `mocapact transfer eval {quoted(path)}`.",
        )
    experts = find_expert_folders(path)
    if not experts:
        raise NotFoundError(
            f"There is no policy in {path}.", hint="Give a .ckpt, or the folder of a run of `mocapact distill train`."
        )
    what = "is an expert, which tracks one snippet" if len(experts) == 1 else f"holds {len(experts):,} experts"
    raise UsageError(f"{path} {what}.", hint=f"Evaluate it with `mocapact expert eval {quoted(experts[0])}`.")


def _pairs(
    names: Sequence[str], mocap: Sequence[Path] | None, hint: str, *, typed: bool = False
) -> list[tuple[Clip, Snippet]]:
    library = open_library(list(mocap or ()))
    clips: dict[str, Clip] = {}
    pairs = []
    for snippet in dict.fromkeys(_resolved(library, name, hint, typed=typed) for name in names):
        if snippet.clip_id not in clips:
            clips[snippet.clip_id] = library.get(snippet.clip_id)
        pairs.append((clips[snippet.clip_id], snippet))
    return pairs


def _resolved(library: ClipLibrary, name: str, hint: str, *, typed: bool) -> Snippet:
    try:
        return library.resolve(name)
    except NotFoundError as error:
        # A name that nobody has typed is not misspelt: its clip is elsewhere.
        misspelt = typed and error.hint.startswith("Did you mean")
        way = f"{error.hint} Or {hint[0].lower()}{hint[1:]}" if misspelt else hint
        raise NotFoundError(error.message, hint=way) from error
