"""From what a user names to the jobs of a plan."""

from __future__ import annotations

from itertools import groupby, pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mocapact_cli.core.clips.library import BUILT_IN, ClipLibrary, open_library
from mocapact_cli.core.clips.recordings import import_hint, is_recording
from mocapact_cli.core.clips.snippets import Snippet, cut
from mocapact_cli.core.clips.subsets import SUBSETS, clip_ids
from mocapact_cli.core.datasets.selection import parse_selection
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.fleet.far import Far, is_address
from mocapact_cli.core.fleet.plan import Job
from mocapact_cli.core.interop.expert_folder import MODEL_FILE, RSI_MODEL, find_experts
from mocapact_cli.core.safe import h5

if TYPE_CHECKING:
    from collections.abc import Sequence


def absolute(place: Path | str) -> str:
    """A place as all workers know it: an address as it is, a path from the root."""
    return str(place) if is_address(str(place)) else str(Path(place).expanduser().absolute())


def training_jobs(
    chosen: Sequence[str], mocap: Sequence[Path] = (), seeds: Sequence[int] = (0,)
) -> tuple[tuple[Job, ...], tuple[str, ...]]:
    """The jobs that train experts, and the files that hold their clips.

    Args:
        chosen: Clips (cut into snippets by the published rule), snippets, names of subsets, lists in text files, and
            mocap files, which stand for all their clips.
        mocap: Further mocap files in which clips are looked up.
        seeds: One expert each of every snippet.

    Raises:
        NotFoundError: A file or a clip does not exist.
        InvalidInputError: A file is damaged.
        UsageError: Nothing is named, or a recording that was not imported.
    """
    files = [Path(word) for word in chosen if _is_mocap(word)]
    library = open_library([*mocap, *files])
    clips = [clip for clip in library.ids() if library.origin(clip) in set(map(str, files))]
    words = [name for word in chosen if not _is_mocap(word) for name in _names(word, library)]
    snippets = list(dict.fromkeys(snippet for name in [*clips, *words] for snippet in _snippets(name, library)))
    jobs = tuple(Job(f"{snippet}/{seed}", seed, (str(snippet),)) for snippet in snippets for seed in seeds)
    sources = {library.origin(snippet.clip_id) for snippet in snippets} - {BUILT_IN}
    return jobs, tuple(sorted(map(absolute, sources)))


def rollout_jobs(experts: Sequence[str], seed: int) -> tuple[Job, ...]:
    """The jobs that roll out experts, one a clip.

    Args:
        experts: Folders or addresses of experts, or above them.
        seed: Of starts and noise.

    Raises:
        NotFoundError: There is no expert.
        UsageError: A snippet has two.
    """
    found = _found(experts)
    for (snippet, root), (following, other) in pairwise(found):
        if snippet == following:
            raise UsageError(
                f"{snippet} has two experts: {root} and {other}.",
                hint="Name the ones that you want, not what is above.",
            )
    jobs = []
    for clip, members in groupby(found, key=lambda pair: pair[0].clip_id):
        snippets, roots = zip(*members, strict=True)
        jobs.append(Job(clip, seed, tuple(map(str, snippets)), roots))
    return tuple(jobs)


def evaluation_jobs(experts: Sequence[str], seed: int) -> tuple[Job, ...]:
    """The jobs that evaluate experts, one an expert.

    Args:
        experts: Folders or addresses of experts, or above them.
        seed: Of starts and noise.

    Raises:
        NotFoundError: There is no expert.
        UsageError: Two experts of a snippet would share one result.
    """
    return tuple(Job(_with_seed(snippet, root), seed, (str(snippet),), (root,)) for snippet, root in _found(experts))


def _is_mocap(word: str) -> bool:
    return Path(word).suffix.lower() in h5.SUFFIXES


def _names(word: str, library: ClipLibrary) -> list[str]:
    """The clips and snippets that a word stands for; of a subset none may be missing."""
    if is_recording(Path(word)):
        raise UsageError(f"{word} is a recording, not the name of a clip.", hint=import_hint(Path(word)))
    names = sorted(parse_selection(word).names or ())
    missing = [name for name in clip_ids(word) if name not in library.ids()] if word in SUBSETS else []
    if missing:
        raise NotFoundError(
            f"{len(missing):,} of the {len(names):,} clips of {word} are not at hand, such as {missing[0]}.",
            hint="Fetch them with `mocapact clips fetch`, or name the file that holds them with --mocap.",
        )
    return names


def _snippets(name: str, library: ClipLibrary) -> list[Snippet]:
    if name in library.ids():
        return cut(name, library.num_steps(name) - 1)
    return [library.resolve(name)]


def _found(experts: Sequence[str]) -> list[tuple[Snippet, str]]:
    """Snippet and folder or address of every expert, in the snippets' order."""
    pairs: dict[str, Snippet] = {}
    for place in experts:
        if is_address(place):
            pairs |= _found_at(place)
        else:
            pairs |= {str(found.root): found.snippet for found in find_experts(place)}
    return sorted((snippet, root) for root, snippet in pairs.items())


def _found_at(address: str) -> dict[str, Snippet]:
    model = PurePosixPath(RSI_MODEL.as_posix(), MODEL_FILE)
    names = [PurePosixPath(name) for name in Far(address).files()]
    roots = [name.parents[2] for name in names if name.parts[-3:] == model.parts and _is_in_place(name)]
    if not roots:
        raise NotFoundError(
            f"There is no expert at {address}.", hint="An expert is a folder with eval_rsi/model/best_model.zip."
        )
    base = address.rstrip("/")
    return {(f"{base}/{root}" if root.parts else base): _snippet_of(f"{base}/{root}") for root in roots}


def _is_in_place(name: PurePosixPath) -> bool:
    """Whether a file is not part of what is only being copied there."""
    return not any(part.startswith(".") for part in name.parts)


def _snippet_of(address: str) -> Snippet:
    """The snippet after which the folder of an expert, or the one above, is named."""
    for part in reversed(PurePosixPath(address).parts[-2:]):
        try:
            return Snippet.parse(part)
        except InvalidInputError:
            continue
    raise InvalidInputError(f"{address} is not named after a snippet.", hint="Experts lie in <snippet>[/<seed>].")


def _with_seed(snippet: Snippet, root: str) -> str:
    name = PurePosixPath(root).name
    return f"{snippet}/{name}" if name.isdecimal() else str(snippet)
