"""What a completion goes on from: an expert, a policy for many clips, or a recorded episode, and where they begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet, clip_of
from mocapact_cli.core.datasets.reader import RolloutFile
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError, nearest_names
from mocapact_cli.core.evaluation.playback import start_step
from mocapact_cli.core.evaluation.policy import run_record
from mocapact_cli.core.interop.expert_folder import find_experts, load_expert, recorded_mocap
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.paths import existing_files
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.sim.observables import OBSERVABLES, observable_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.library import ClipLibrary
    from mocapact_cli.core.datasets.reader import Episode
    from mocapact_cli.core.interop.expert_folder import ExpertLocation
    from mocapact_cli.core.policies.base import Policy

    Float32Array = NDArray[np.float32]

JOINTS = "walker/joints_pos"
_OF_THE_CLIP = ("walker/reference_", "walker/time_in_clip")
_SPELLING = "Write FILE.hdf5#SNIPPET/EPISODE, such as dataset/CMU_016_22.hdf5#CMU_016_22-0-82/0."


@dataclass(frozen=True)
class Recording:
    """The actions of a recorded episode.

    Attributes:
        start_step: Step of the clip at which it began.
        actions: (T, 56) as they were executed.
        joints: (T + 1, 56) joint angles, in actuator order; None where they were not recorded.
    """

    start_step: int
    actions: Float32Array
    joints: Float32Array | None


@dataclass(frozen=True)
class Prompt:
    """What a completion goes on from; either a policy acts or a recording is repeated.

    Attributes:
        clip: The motion that is tracked.
        snippet: Its part that is tracked; there it ends.
        within: The part in which prompts lie.
        policy: Acts.
        recording: Is repeated.
        source: Where it comes from, as plain values.
    """

    clip: Clip
    snippet: Snippet
    within: Snippet
    source: dict[str, Any]
    policy: Policy | None = None
    recording: Recording | None = None

    def starts(self, length: int) -> range:
        """Return the steps of the clip at which a prompt of so many steps may begin.

        Raises:
            UsageError: It is longer than what it is taken from.
        """
        if self.recording is not None:
            begin = self.recording.start_step
            there = min(len(self.recording.actions), self.snippet.end_step - begin)
            self._require(length, there, "its recorded episode")
            return range(begin, begin + 1)
        first, last = self.within.start_step, self.within.end_step
        self._require(length, last - first, str(self.within))
        return range(first, last - length + 1)

    def _require(self, length: int, there: int, name: str) -> None:
        if length > there:
            raise UsageError(
                f"A prompt of {length} steps is longer than {name}, which has {there}.",
                hint=f"Give --prompt-length {there} or less, or a longer snippet.",
            )


@dataclass(frozen=True)
class PromptRequest:
    """Where a prompt is to come from: one of an expert, a policy for many clips and a recorded episode.

    Attributes:
        clip_snippet: Snippet or clip that it lies in; a recorded episode says it itself.
        experts: Folder of experts.
        policy: A policy for many clips.
        recording: FILE.hdf5#SNIPPET/EPISODE.

    Raises:
        UsageError: It is none of these, or several.
    """

    clip_snippet: str | None = None
    experts: Path | None = None
    policy: Path | None = None
    recording: str | None = None

    def __post_init__(self) -> None:
        given = [source for source in (self.experts, self.policy, self.recording) if source is not None]
        if len(given) != 1:
            what = "There are several prompts." if given else "There is no prompt."
            ways = "--experts DIR, --prompt-policy POLICY and --prompt FILE#SNIPPET/EPISODE"
            raise UsageError(what, hint=f"Give one of {ways}.")
        if self.recording is not None:
            _, snippet, _ = _parts(self.recording)
            if self.clip_snippet not in (None, snippet):
                raise UsageError(f"{self.recording} is no episode of {self.clip_snippet}.", hint="Leave one out.")
        elif self.clip_snippet is None:
            raise UsageError("Nothing says what to begin with.", hint="Name a snippet or clip with --clip-snippet.")

    def open(self, mocap: Sequence[Path] | None = None, *, device: str = "cpu") -> Prompt:
        """Read what gives the prompt; the errors are those of the functions below."""
        if self.recording is not None:
            return recorded_prompt(self.recording, mocap)
        name = self.clip_snippet or ""
        if self.experts is not None:
            return expert_prompt(self.experts, name, mocap, device=device)
        assert self.policy is not None
        return policy_prompt(self.policy, name, mocap, device=device)


def expert_prompt(experts: Path, name: str, mocap: Sequence[Path] | None = None, *, device: str = "cpu") -> Prompt:
    """Find the expert whose snippet covers the wanted one; it tracks its own snippet, prompts lie in the wanted one.

    Args:
        experts: A folder of experts.
        name: A snippet, or a clip to be covered as a whole.
        mocap: Files with the clip; default: those of the experts' records, then the usual places.
        device: Where the network runs.

    Raises:
        NotFoundError: There is no such expert (the nearest is named), or no such clip.
        InvalidInputError: A file is damaged.
    """
    places = find_experts(experts)
    library = open_library(list(mocap or recorded_mocap(places)))
    wanted = _resolved(library, name, places, experts)
    covering = [place for place in places if _covers(place.snippet, wanted)]
    if not covering:
        raise _not_covered(experts, str(wanted), _nearest(wanted, places))
    place = min(covering, key=lambda place: place.snippet.num_steps)
    loaded = load_expert(place, device=device)
    check_sight(loaded.policy, str(place.root))
    source = {"kind": "expert", "path": place.root, "snippet": str(place.snippet)}
    return Prompt(library.get(wanted.clip_id), place.snippet, wanted, source, policy=loaded.policy)


def policy_prompt(path: Path, name: str, mocap: Sequence[Path] | None = None, *, device: str = "cpu") -> Prompt:
    """Let a policy for many clips track the wanted snippet.

    Args:
        path: The policy.
        name: A snippet or a clip.
        mocap: Files with the clip; default: those of the run's record, then the usual places.
        device: Where the network runs.

    Raises:
        NotFoundError: There is no such policy or clip.
        InvalidInputError: A file is damaged.
        UsageError: It is an expert.
    """
    policy = load_policy(path, device=device)
    if isinstance(policy, ExpertPolicy):
        raise UsageError(f"{path} is an expert.", hint="Give it as --experts.")
    check_sight(policy, str(path))
    library = open_library(list(mocap or existing_files(run_record(path).get("mocap"))))
    snippet = library.resolve(name)
    source = {"kind": "policy", "path": path, "snippet": str(snippet)}
    return Prompt(library.get(snippet.clip_id), snippet, snippet, source, policy=policy)


def recorded_prompt(spec: str, mocap: Sequence[Path] | None = None) -> Prompt:
    """Take a recorded episode as the prompt.

    Observations alone are no state of the physics, so the recorded actions are repeated from the pose of the clip in
    which the episode began: a recording made here, with the same MuJoCo, comes out the same to the last bit.

    Args:
        spec: FILE.hdf5#SNIPPET/EPISODE.
        mocap: Files with the clip; default: the usual places.

    Raises:
        UsageError: It is spelt otherwise.
        NotFoundError: There is no such file, snippet, episode or clip.
        InvalidInputError: The file is damaged, or does not say where the episode began.
    """
    path, snippet, number = _parts(spec)
    with RolloutFile(path) as file:
        rollouts = file[snippet]
        if not 0 <= number < len(rollouts):
            raise NotFoundError(f"{path} has episodes 0 to {len(rollouts) - 1} of {snippet}, not {number}.")
        recording = recorded(rollouts[number])
    tracked = Snippet.parse(snippet)
    if recording is None or not tracked.start_step <= recording.start_step < tracked.end_step:
        raise InvalidInputError(f"{spec} does not say at which step it began.", hint="Take an episode from the start.")
    source = {"kind": "recording", "path": path, "snippet": snippet, "episode": number}
    library = open_library(list(mocap or ()))
    library.resolve(snippet)
    return Prompt(library.get(tracked.clip_id), tracked, tracked, source, recording=recording)


def recorded(episode: Episode) -> Recording | None:
    """Read what repeats an episode; None where it does not say at which step it began."""
    start = start_step(episode)
    if start is None:
        return None
    joints = episode.observable(JOINTS) if episode.has_observable(JOINTS) else None
    return Recording(start, episode.actions, joints)


def check_completer(policy: Policy, name: str) -> None:
    """See that a policy can act where there is nothing to track: a GPT, or whoever sees the body alone.

    Raises:
        UsageError: It cannot.
    """
    check_sight(policy, name)
    lacking = clip_sight(policy)
    if lacking is not None:
        raise UsageError(
            f"{name} sees {lacking}, which ends with the clip.",
            hint="Give a GPT, or another policy that sees its body alone; this one may be a --baseline.",
        )


def clip_sight(policy: Policy) -> str | None:
    """Return what a policy sees of the clip, which ends with it; None for one that sees its body alone."""
    return next((seen for seen in policy.observables if seen.startswith(_OF_THE_CLIP)), None)


def check_sight(policy: Policy, name: str) -> None:
    """See that the environment gives all that a policy sees.

    Raises:
        UsageError: It does not.
    """
    unknown = next((seen for seen in policy.observables if seen not in OBSERVABLES), None)
    if unknown is not None:
        raise UsageError(
            f"{name} sees {unknown}, which the environment does not give.", hint="It was trained in another one."
        )
    columns = sum(observable_size(seen, len(policy.ref_steps)) for seen in policy.observables)
    wanted = getattr(policy, "obs_size", columns)
    if columns != wanted:
        raise UsageError(
            f"{name} sees {wanted} columns; its observables have {columns} here.", hint="It is of another body."
        )


def _parts(spec: str) -> tuple[Path, str, int]:
    path, mark, episode = spec.rpartition("#")
    snippet, slash, number = episode.rpartition("/")
    if not (path and mark and snippet and slash and number.isdecimal()):
        raise UsageError(f"{spec!r} does not name a recorded episode.", hint=_SPELLING)
    return Path(path), snippet, int(number)


def _resolved(library: ClipLibrary, name: str, places: Sequence[ExpertLocation], experts: Path) -> Snippet:
    try:
        return library.resolve(name)
    except NotFoundError as error:
        clips = {place.snippet.clip_id for place in places}
        clip_id = clip_of(name)
        if clip_id in clips:
            raise NotFoundError(error.message, hint="Give the file that holds it with --mocap.") from error
        near = nearest_names(clip_id, clips, count=1) or sorted(clips)[:1]
        snippets = sorted(str(place.snippet) for place in places if place.snippet.clip_id in near)
        raise _not_covered(experts, name, snippets[0]) from error


def _covers(snippet: Snippet, wanted: Snippet) -> bool:
    inside = snippet.start_step <= wanted.start_step and wanted.end_step <= snippet.end_step
    return snippet.clip_id == wanted.clip_id and inside


def _nearest(wanted: Snippet, places: Sequence[ExpertLocation]) -> str:
    """The expert's snippet that shares most steps with the wanted one, else the one of the most similar name."""

    def shared(snippet: Snippet) -> int:
        last, first = min(snippet.end_step, wanted.end_step), max(snippet.start_step, wanted.start_step)
        return max(last - first, 0) if snippet.clip_id == wanted.clip_id else -1

    best = max((place.snippet for place in places), key=shared)
    if best.clip_id == wanted.clip_id:
        return str(best)
    names = sorted({str(place.snippet) for place in places})
    return next(iter(nearest_names(str(wanted), names, count=1)), names[0])


def _not_covered(experts: Path, wanted: str, nearest: str) -> NotFoundError:
    return NotFoundError(
        f"No expert in {experts} covers {wanted}.", hint=f"The nearest is that of {nearest}: --clip-snippet {nearest}."
    )
