"""From what a user names to what is shown: a file, a folder, a clip or a snippet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.mocap_h5 import MocapFile
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.policy_places import SAFETENSORS_SUFFIX, checkpoint_in, exported_in
from mocapact_cli.core.paths import existing_files
from mocapact_cli.core.safe import h5
from mocapact_cli.core.viewer.recorded_sources import ClipSource, RolloutSource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mocapact_cli.core.clips.library import ClipLibrary
    from mocapact_cli.core.evaluation.prompts import Prompt
    from mocapact_cli.core.viewer.live_sources import Acting
    from mocapact_cli.core.viewer.sources import Source

_HINT = (
    "It shows mocap and rollout HDF5 files, .amc recordings, experts, policies (.ckpt, .safetensors), folders of "
    "these, and clips and snippets by name."
)


@dataclass(frozen=True)
class Wish:
    """What is to be seen of what a user has named.

    Attributes:
        mocap: Files with the clips; default: those of a policy's record, then the usual places.
        snippets: The snippet that is shown first; of a policy for many clips, all that it is to track.
        episode: Number of the episode that is shown first.
        acting: How policies act; None for the defaults.
        experts: Folder of experts who prompt a GPT.
        prompt_policy: Policy that prompts a GPT.
    """

    mocap: tuple[Path, ...] = ()
    snippets: tuple[str, ...] = ()
    episode: int = 0
    acting: Acting | None = None
    experts: Path | None = None
    prompt_policy: Path | None = None

    @property
    def first(self) -> str | None:
        """The snippet that is shown first."""
        return next(iter(self.snippets), None)


def open_source(target: str, wish: Wish | None = None) -> Source:
    """Open whatever a user has named; nothing that a file holds is executed.

    Args:
        target: A file, a folder, or the id of a clip or a snippet.
        wish: What is to be seen of it.

    Raises:
        NotFoundError: It is nothing of these, or a clip that it needs is not at hand.
        InvalidInputError: It is damaged, or nothing that can be shown.
        UsageError: Something about it has to be said more clearly.
    """
    wish, path = wish or Wish(), Path(target)
    if path.is_dir():
        return _open_folder(path, wish)
    if path.exists():
        return _open_file(path, wish)
    if path.suffix or len(path.parts) > 1:
        raise NotFoundError(f"{target} does not exist.", hint="Check the path.")
    library = open_library(list(wish.mocap))
    clip_id = library.resolve(target).clip_id
    return ClipSource(target, library, [clip_id], wish.first or target)


def _open_file(path: Path, wish: Wish) -> Source:
    from mocapact_cli.core.evaluation.inspection import hdf5_kind, is_hdf5_like

    if path.suffix.lower() == ".amc":
        return _recording(path)
    if path.suffix in (".ckpt", SAFETENSORS_SUFFIX):
        return _policy(path, wish)
    if path.suffix == ".zip":
        return _experts(path.parent, wish)
    if not is_hdf5_like(path):
        raise InvalidInputError(f"{path} is nothing that can be shown.", hint=_HINT)
    return _rollouts([path], path, wish) if hdf5_kind(path) == "rollouts" else _clips([path], path, wish)


def _open_folder(path: Path, wish: Wish) -> Source:
    from mocapact_cli.core.evaluation.inspection import hdf5_kind
    from mocapact_cli.core.interop.expert_folder import find_expert_folders
    from mocapact_cli.core.interop.transfer_folder import find_transfer_models

    files = h5.files_in(path)
    if rollouts := [file for file in files if hdf5_kind(file) == "rollouts"]:
        return _rollouts(rollouts, path, wish)
    if files:
        return _clips(files, path, wish)
    if checkpoint_in(path) or exported_in(path):
        return _policy(path, wish)
    if find_transfer_models(path):
        return _task(path, wish)
    if find_expert_folders(path):
        return _experts(path, wish)
    raise InvalidInputError(f"{path} holds nothing that can be shown.", hint=_HINT)


def _clips(files: list[Path], path: Path, wish: Wish) -> Source:
    library = open_library(files)
    ids = dict.fromkeys(clip_id for file in files for clip_id in MocapFile(file).ids())
    return ClipSource(path.name, library, list(ids), wish.first)


def _recording(path: Path) -> Source:
    from mocapact_cli.core.clips.asf import read_asf
    from mocapact_cli.core.clips.importing import import_recording
    from mocapact_cli.core.clips.recordings import find_skeleton

    skeleton = find_skeleton(path)
    clip, _ = import_recording(path, read_asf(skeleton) if skeleton else None)
    return ClipSource.of_clip(clip, str(path))


def _rollouts(files: list[Path], path: Path, wish: Wish) -> Source:
    from mocapact_cli.core.datasets.reader import Rollouts

    return RolloutSource(path.name, Rollouts(files), wish.first, wish.episode)


def _acting(wish: Wish) -> Acting:
    from mocapact_cli.core.viewer.live_sources import Acting

    return wish.acting or Acting()


def _experts(path: Path, wish: Wish) -> Source:
    from mocapact_cli.core.interop.expert_folder import find_experts, recorded_mocap
    from mocapact_cli.core.viewer.live_sources import ExpertSource

    places = find_experts(path)
    library = open_library(list(wish.mocap) or recorded_mocap(places))
    name = str(places[0].snippet) if len(places) == 1 else path.resolve().name
    return ExpertSource(name, places, library, _acting(wish), first=wish.first)


def _task(path: Path, wish: Wish) -> Source:
    from mocapact_cli.core.evaluation.transfer import open_transfer
    from mocapact_cli.core.viewer.live_sources import TaskSource

    acting = _acting(wish)
    subject = open_transfer(path, list(wish.mocap) or None, device=acting.device)
    return TaskSource(path.resolve().name, subject, acting)


def _policy(path: Path, wish: Wish) -> Source:
    from mocapact_cli.core.evaluation.policy import run_record
    from mocapact_cli.core.evaluation.prompts import clip_sight
    from mocapact_cli.core.interop.policies import load_policy
    from mocapact_cli.core.policies.transfer import TransferPolicy
    from mocapact_cli.core.viewer.live_sources import CompletionSource, Repertoire, TrackingSource

    acting, record, name = _acting(wish), run_record(path), path.resolve().name
    policy = load_policy(path, device=acting.device)
    if isinstance(policy, TransferPolicy):
        raise UsageError(f"{path} does not say what its task is.", hint="Give the folder of its run.")
    recorded = existing_files(record.get("mocap"))
    prompter, prompts = _prompter(wish, acting.device)
    library = open_library(list(wish.mocap) or [*recorded, *prompts.mocap])
    snippets = _tracked(library, wish, prompts.snippets or record.get("snippets", ()))
    repertoire = Repertoire(name, library, snippets)
    if clip_sight(policy) is None:
        return CompletionSource(repertoire, policy, acting, prompter)
    if prompter is not None:
        raise UsageError(f"{path} tracks by itself.", hint="Leave out --experts and --prompt-policy.")
    return TrackingSource(repertoire, policy, acting)


@dataclass(frozen=True)
class _Prompts:
    """What those who give prompts say themselves: their snippets, and the files with their clips."""

    snippets: tuple[str, ...] = ()
    mocap: tuple[Path, ...] = ()


def _prompter(wish: Wish, device: str) -> tuple[Callable[[str], Prompt] | None, _Prompts]:
    """Return who prompts a GPT, by the name of a snippet; None for nobody."""
    from mocapact_cli.core.evaluation.prompts import PromptRequest
    from mocapact_cli.core.interop.expert_folder import find_experts, recorded_mocap

    if wish.experts is None and wish.prompt_policy is None:
        return None, _Prompts()
    known = _Prompts()
    if wish.experts is not None:
        places = find_experts(wish.experts)
        known = _Prompts(tuple(str(place.snippet) for place in places), tuple(recorded_mocap(places)))

    def prompt(snippet: str) -> Prompt:
        request = PromptRequest(snippet, wish.experts, wish.prompt_policy)
        return request.open(list(wish.mocap) or None, device=device)

    return prompt, known


def _tracked(library: ClipLibrary, wish: Wish, recorded: Sequence[str]) -> list[str]:
    """Return the names of what a policy is to track: as asked for, else as recorded, else all clips at hand."""
    for name in wish.snippets:
        library.resolve(name)
    at_hand = [name for name in recorded if library.has(name)]
    return list(wish.snippets) or list(dict.fromkeys(at_hand)) or list(library.ids())
