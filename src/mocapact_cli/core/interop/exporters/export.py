"""Exporting rollouts: one call for all formats."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.atomic import atomic_folder
from mocapact_cli.core.clips.subsets import SPLITS
from mocapact_cli.core.datasets.metrics import METRICS_FILE
from mocapact_cli.core.datasets.reader import SUFFIX, rollout_paths
from mocapact_cli.core.datasets.rewriting import write_slice
from mocapact_cli.core.datasets.slicing import RolloutSlice, SliceConfig, open_slice
from mocapact_cli.core.errors import RunError, UsageError
from mocapact_cli.core.interop.exporters import d4rl, lerobot, minari
from mocapact_cli.core.interop.exporters.targets import POLICY_TARGETS, check_fit, check_target
from mocapact_cli.core.progress import NullProgress, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mocapact_cli.core.progress import ProgressTask

BOTH = "both"


@dataclass(frozen=True)
class ExportConfig:
    """What is exported and how."""

    to: str
    """The format, one of `TARGETS`; for those of policies there is nothing to choose."""
    source: SliceConfig = field(default_factory=SliceConfig)
    """What is taken of the sources."""
    both_splits: bool = False
    """Write the paper's training and validation clips into the folders `train` and `validation`."""
    actions: str | None = None
    """`sampled` (the default) or `mean`; rollout files keep both."""
    name: str | None = None
    """Id of a Minari dataset."""
    observation_space: str | None = None
    """`flat` (the default) or `dict`, for Minari."""

    def __post_init__(self) -> None:
        check_target(self.to)
        self._check_nothing_is_chosen_of_a_policy()
        own = {"name": ("minari",), "observation_space": ("minari",), "actions": ("minari", "d4rl", "lerobot")}
        for option, formats in own.items():
            if getattr(self, option) is not None and self.to not in formats:
                reason = "Rollout files keep both kinds." if option == "actions" else f"It is for {formats[0]} only."
                raise UsageError(f"--{option.replace('_', '-')} means nothing for {self.to}.", hint=reason)
        if self.both_splits and self.to != "rollouts":
            raise UsageError("Both parts of the split go into rollout files only.", hint="Export train and validation.")

    def _check_nothing_is_chosen_of_a_policy(self) -> None:
        selection = self.source.selection
        given = {
            "clips": selection.names,
            "split": selection.split or (self.both_splits or None),
            **{name: getattr(self.source, name) for name in ("observables", "n_start_rollouts", "n_rsi_rollouts")},
            **{name: getattr(self, name) for name in ("actions", "name", "observation_space")},
        }
        named = [f"--{option.replace('_', '-')}" for option, value in given.items() if value is not None]
        if named and self.to in POLICY_TARGETS:
            raise UsageError(
                f"{named[0]} means nothing for {self.to}.", hint="It chooses of rollouts; a policy is exported whole."
            )


@dataclass(frozen=True)
class ExportSummary:
    """What an export has come to.

    Attributes:
        path: The file or folder.
        format: One of `ROLLOUT_TARGETS`.
        episodes: How many.
        steps: Control steps of all episodes.
        snippets: How many.
        bytes: Size on disk.
        name: Id of a Minari dataset.
        parts: Folders of the two parts of the split, where both were asked for.
    """

    path: Path
    format: str
    episodes: int
    steps: int
    snippets: int
    bytes: int
    name: str | None = None
    parts: tuple[Path, ...] = ()


def export_rollouts(
    sources: Sequence[Path | str],
    path: Path | str,
    config: ExportConfig,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> ExportSummary:
    """Export rollout files, ours or published ones, in the format of another library, or as rollout files again.

    The output appears under its name when it is complete. Memory holds one episode at a time.

    Args:
        sources: Rollout files, or folders of them.
        path: The output: a folder for rollouts and LeRobot, a file for D4RL, the root of all datasets for Minari.
        config: What and how.
        force: Replace an earlier export.
        progress: Told of every step.

    Raises:
        UsageError: Options contradict each other, the output exists, or a snippet is in two sources.
        NotFoundError: A source, clip or observable does not exist.
        InvalidInputError: A source is damaged, or two differ in layout.
        MissingDependencyError: The format's library is not installed.
        RunError: The disk is full.
    """
    path = Path(path)
    for source in sources:
        check_fit(source, config.to)
    name = (config.name or minari.dataset_name(Path(sources[0]).stem)) if config.to == "minari" else None
    target = path / minari.check_name(name) if name else path
    _check_target(target, config.to, sources, force=force)
    slices = {part: open_slice(sources, source) for part, source in _sources(config).items()}
    write = _writer(config, path, name)
    with (progress or NullProgress()).task("Exporting", _total(slices, "steps"), unit="steps") as task:
        write(slices, task)
    counts = {what: _total(slices, what) for what in ("episodes", "steps")}
    snippets = sum(len(part.snippets) for part in slices.values())
    parts = tuple(target / part for part in slices) if config.both_splits else ()
    return ExportSummary(target, config.to, snippets=snippets, bytes=_size(target), name=name, parts=parts, **counts)


def _sources(config: ExportConfig) -> dict[str, SliceConfig]:
    """Return what goes into each folder of the output; without parts that is the output itself."""
    if not config.both_splits:
        return {"": config.source}
    selection = config.source.selection
    return {split: replace(config.source, selection=replace(selection, split=split)) for split in SPLITS}


def _writer(
    config: ExportConfig, path: Path, name: str | None
) -> Callable[[dict[str, RolloutSlice], ProgressTask], object]:
    actions = config.actions or "sampled"
    if config.to == "rollouts":
        return lambda slices, task: _write_rollouts(slices, path, task)
    if config.to == "d4rl":
        return lambda slices, task: d4rl.write_d4rl(slices[""], path, task, actions=actions)
    if config.to == "lerobot":
        return lambda slices, task: lerobot.write_lerobot(slices[""], path, task, actions=actions)
    space = config.observation_space or "flat"
    return lambda slices, task: minari.write_minari(slices[""], path, str(name), task, actions=actions, space=space)


def _write_rollouts(slices: dict[str, RolloutSlice], path: Path, task: ProgressTask) -> None:
    try:
        with atomic_folder(path) as temporary:
            for part, source in slices.items():
                write_slice(source, temporary / part, task)
    except RunError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        # The writer names its temporary file and a command that can be resumed; neither means anything here.
        raise OSError(error.__cause__.errno, error.__cause__.strerror, str(path)) from error


def _check_target(target: Path, to: str, sources: Sequence[Path | str], *, force: bool) -> None:
    """Make sure that the output can take its place, and that nothing is lost but an earlier export.

    Raises:
        UsageError: It cannot, or would.
    """
    if to == "d4rl" and target.suffix not in d4rl.SUFFIXES:
        raise UsageError(f"{target} is no name for a D4RL file.", hint=f"End it in {' or '.join(d4rl.SUFFIXES)}.")
    place = target.resolve()
    for source in [file.resolve() for given in sources for file in rollout_paths(given)]:
        if place == source or place in source.parents:
            raise UsageError(f"The output {target} would replace the source {source}.", hint="Choose another name.")
    if not target.exists() or (to != "d4rl" and target.is_dir() and not any(target.iterdir())):
        return
    if not force:
        raise UsageError(f"{target} exists already.", hint="Replace it with --force, or choose another name.")
    if not _REPLACEABLE[to](target):
        raise UsageError(f"{target} is no earlier export to {to}, so it is not replaced.", hint="Choose another name.")


def _holds_only_rollouts(folder: Path) -> bool:
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    return folder.is_dir() and all(path.suffix == SUFFIX or path.name == METRICS_FILE for path in files)


_REPLACEABLE: dict[str, Callable[[Path], bool]] = {
    "rollouts": _holds_only_rollouts,
    "d4rl": Path.is_file,
    "minari": lambda folder: (folder / "data" / "metadata.json").is_file(),
    "lerobot": lambda folder: (folder / "meta" / "info.json").is_file(),
}


def _total(slices: dict[str, RolloutSlice], what: str) -> int:
    return sum(getattr(part, what) for part in slices.values())


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
    return sum(item.stat().st_size for item in files)
