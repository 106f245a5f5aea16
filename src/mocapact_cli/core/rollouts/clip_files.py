"""The folder of a recording: which of its files are there already, and writing those that are not."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Self

import mujoco

from mocapact_cli import __version__
from mocapact_cli.core.datasets.metrics import METRICS_FILE
from mocapact_cli.core.datasets.reader import SUFFIX, RolloutFile
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.expert_folder import MODEL_FILE, ExpertLocation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.rollouts.config import RolloutConfig
    from mocapact_cli.core.sim.observables import ObservableLayout


class ClipFiles:
    """The files that are being written: each is opened with its first episode and appears with its last.

    Use it as a context manager; what is incomplete at its end is removed.

    Args:
        folder: Where they go.
        config: What is recorded.
        clips: The experts of each clip that is recorded.
        layout: Of the observations.
    """

    def __init__(
        self,
        folder: Path,
        config: RolloutConfig,
        clips: Mapping[str, Sequence[ExpertLocation]],
        layout: ObservableLayout,
    ) -> None:
        self._folder, self._config, self._clips = folder, config, clips
        self._layout = RolloutLayout(
            observables={name: columns.stop - columns.start for name, columns in layout.slices.items()},
            ref_steps=config.ref_steps,
            n_start_rollouts=config.n_start_rollouts,
            n_rsi_rollouts=config.n_rsi_rollouts,
        )
        self._stack = contextlib.ExitStack()
        self._open: dict[str, tuple[RolloutWriter, contextlib.ExitStack]] = {}

    def add(self, snippet: Snippet, slot: int, record: EpisodeRecord) -> None:
        """Write one episode; with a clip's last one its file appears."""
        clip_id = snippet.clip_id
        if clip_id not in self._open:
            self._open[clip_id] = self._begin(clip_id)
        writer, own = self._open[clip_id]
        writer.add(str(snippet), slot, record)
        if writer.complete:
            del self._open[clip_id]
            own.close()

    def __enter__(self) -> Self:
        self._stack.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def _begin(self, clip_id: str) -> tuple[RolloutWriter, contextlib.ExitStack]:
        members, path = self._clips[clip_id], self._folder / f"{clip_id}{SUFFIX}"
        names = [str(place.snippet) for place in members]
        own = self._stack.enter_context(contextlib.ExitStack())
        writer = RolloutWriter(path, self._layout, names, attributes_of(self._config, members))
        return own.enter_context(writer), own


def group_by_clip(experts: Sequence[ExpertLocation]) -> dict[str, list[ExpertLocation]]:
    """Group experts by clip, each group by start step.

    Raises:
        NotFoundError: There are no experts.
        UsageError: Two of them track one snippet.
    """
    if not experts:
        raise NotFoundError("There are no experts to roll out.", hint="Give a folder that holds some.")
    clips: dict[str, list[ExpertLocation]] = defaultdict(list)
    for place in sorted(experts, key=lambda place: place.snippet):
        members = clips[place.snippet.clip_id]
        if members and members[-1].snippet == place.snippet:
            raise UsageError(
                f"{place.snippet} has two experts: {members[-1].root} and {place.root}.",
                hint="Name the one that you want instead of the folder above.",
            )
        members.append(place)
    return dict(clips)


def attributes_of(config: RolloutConfig, members: Sequence[ExpertLocation]) -> dict[str, Any]:
    """Return what a file says of its own making; equal makings give equal words. The experts are read for it."""
    experts = {str(place.snippet): _digest(place.model / MODEL_FILE) for place in members}
    versions = {"mocapact": __version__, "mujoco": mujoco.__version__}
    return {
        "config": json.dumps(config.record(), sort_keys=True),
        "experts": json.dumps(experts, sort_keys=True),
        "versions": json.dumps(versions, sort_keys=True),
        "seed": config.seed,
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def prepare_folder(folder: Path, clips: Mapping[str, Any], *, resume: bool, force: bool, metrics: bool) -> None:
    """Make sure that nothing is overwritten that the user has not named, and sweep up after a killed recording.

    Others may be recording other clips into the same folder, so only what is to be written now is swept: the files of
    these clips, and the metrics where `metrics` says so.

    Raises:
        UsageError: The folder is a file, or holds something and neither `resume` nor `force` is given.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file.", hint="Give the folder of the dataset with -o.")
    content = list(folder.iterdir()) if folder.is_dir() else []
    if content and not resume and not force:
        raise UsageError(
            f"{folder} is not empty.",
            hint="Continue an interrupted recording with --resume, or replace it with --force.",
        )
    written = [*(f"{clip_id}{SUFFIX}" for clip_id in clips), *([METRICS_FILE] if metrics else [])]
    leftovers = [folder.glob(f".{name}.*.partial") for name in written]
    replaced = (path for path in content if force and (path.name == METRICS_FILE or _is_rollout_file(path)))
    for path in itertools.chain(replaced, *leftovers):
        path.unlink(missing_ok=True)


def _is_rollout_file(path: Path) -> bool:
    """Whether a file can be replaced without loss to anything but rollouts."""
    if path.suffix != SUFFIX:
        return False
    try:
        RolloutFile(path).close()
    except InvalidInputError:
        return False
    return True


def is_recorded(path: Path, config: RolloutConfig, members: Sequence[ExpertLocation]) -> bool:
    """Whether a file holds this very recording.

    Raises:
        InvalidInputError: It is damaged.
        UsageError: It holds another one.
    """
    if not path.exists():
        return False
    try:
        with RolloutFile(path) as file:
            found = {name: file.handle.attrs.get(name) for name in ("config", "experts")}
    except InvalidInputError as error:
        raise InvalidInputError(error.message, hint="Delete it, or replace everything with --force.") from error
    attributes = attributes_of(config, members)
    differing = [name for name, value in found.items() if value != attributes[name]]
    if differing:
        raise UsageError(
            f"{path} was recorded with other {' and '.join(differing)}.",
            hint="Give the settings that it was begun with, another folder, or --force.",
        )
    return True
