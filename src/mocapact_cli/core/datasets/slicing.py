"""Taking snippets out of rollout files, from one or many sources, one episode at a time."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.datasets import schema
from mocapact_cli.core.datasets.disk_file import interrupts_after
from mocapact_cli.core.datasets.reader import (
    Episode,
    RolloutFile,
    SnippetRollouts,
    check_columns,
    column_numbers,
    rollout_paths,
)
from mocapact_cli.core.datasets.selection import Selection
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError, did_you_mean
from mocapact_cli.core.safe import h5

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

PREFIX = "walker/"


@dataclass(frozen=True)
class SliceConfig:
    """What is taken of the sources; everything by default."""

    selection: Selection = field(default_factory=Selection)
    """Clips and snippets."""
    observables: tuple[str, ...] | None = None
    """Names of proprioceptive observables, with or without `walker/`; all of the file if not given."""
    n_start_rollouts: int | None = None
    """Episodes of each snippet from its start, at most."""
    n_rsi_rollouts: int | None = None
    """Episodes of each snippet from random steps, at most."""


@dataclass(frozen=True)
class SlicePart:
    """The chosen snippets of one file.

    Attributes:
        path: The file.
        snippets: Their names, by start step.
        steps: Control steps of each snippet's chosen episodes.
    """

    path: Path
    snippets: tuple[str, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class SliceEpisode:
    """One episode of a slice.

    Attributes:
        snippet: Name of its snippet.
        slot: Its number among the snippet's chosen episodes, starts first.
        from_start: Whether it begins at the snippet's first step.
        record: What was recorded, reduced to the chosen observables.
    """

    snippet: str
    slot: int
    from_start: bool
    record: EpisodeRecord


@dataclass(frozen=True)
class RolloutSlice:
    """Chosen episodes of rollout files that agree in layout.

    Attributes:
        layout: Of the chosen episodes.
        cameras: Cameras that every episode has images of.
        parts: The files, by clip and path.
    """

    layout: RolloutLayout
    cameras: tuple[str, ...]
    parts: tuple[SlicePart, ...]
    _width: int
    _columns: NDArray[np.int64] | None
    _slots: tuple[int, ...]

    @property
    def snippets(self) -> tuple[str, ...]:
        """Names of the chosen snippets, in the order of the episodes."""
        return tuple(name for part in self.parts for name in part.snippets)

    @property
    def episodes(self) -> int:
        """Number of chosen episodes."""
        return len(self.snippets) * self.layout.episodes

    @property
    def steps(self) -> int:
        """Control steps of all chosen episodes."""
        return sum(sum(part.steps) for part in self.parts)

    def __iter__(self) -> Iterator[SliceEpisode]:
        """Read the episodes one by one, file after file, snippet after snippet.

        Raises:
            InvalidInputError: A file is damaged.
        """
        return (episode for part in self.parts for episode in self.read(part))

    def read(self, part: SlicePart) -> Iterator[SliceEpisode]:
        """Read the episodes of one file one by one; the file is open meanwhile.

        Raises:
            InvalidInputError: It is damaged.
        """
        with contextlib.ExitStack() as stack:
            with interrupts_after():
                file = stack.enter_context(RolloutFile(part.path))
            for name, steps in zip(part.snippets, part.steps, strict=True):
                left = steps
                for slot in range(self.layout.episodes):
                    # Ctrl-C inside h5py's own callbacks would be lost.
                    with interrupts_after(), h5.damage_named(part.path):
                        episode = self._episode(_rollouts(file, name), slot)
                    left -= len(episode.record.actions)
                    yield episode
                if left:
                    raise InvalidInputError(f"{part.path}: episode_lengths of {name} are not those of its episodes.")

    def _episode(self, rollouts: SnippetRollouts, slot: int) -> SliceEpisode:
        source = self._slots[slot]
        episode = rollouts[source]
        record = EpisodeRecord(
            **self._arrays(episode),
            early_termination=episode.early_termination,
            episode_return=float(rollouts.returns[source]),
            norm_return=float(rollouts.norm_returns[source]),
            norm_length=float(rollouts.norm_lengths[source]),
        )
        return SliceEpisode(episode.snippet, slot, episode.from_start, record)

    def _arrays(self, episode: Episode) -> dict[str, Any]:
        dims = {"A": self.layout.act_size, "T": episode.length, "P": self._width}
        found = {spec.path: _read(episode, spec, dims) for spec in schema.EPISODE_ARRAYS}
        observations = found.pop(schema.PROPRIOCEPTIVE)
        images = {name: found.pop(path) for name, path in zip(schema.CAMERAS, schema.CAMERA_PATHS, strict=True)}
        lacking = [name for name in self.cameras if images[name] is None]
        if lacking:
            raise InvalidInputError(f"{episode.snippet}, episode {episode.index} has no images of {lacking[0]}.")
        if observations is not None and self._columns is not None:
            observations = observations[:, self._columns]
        cameras = {name: images[name] for name in self.cameras}
        return {"observations": observations, "cameras": cameras} | found


def open_slice(sources: Sequence[Path | str], config: SliceConfig | None = None) -> RolloutSlice:
    """Look through the headers of rollout files and say which of their episodes are meant.

    Args:
        sources: Rollout files, or folders of them.
        config: What is taken; everything by default.

    Raises:
        NotFoundError: A source, a clip or an observable does not exist, or nothing is chosen.
        InvalidInputError: A file is damaged, or two of them disagree in layout.
        UsageError: Two files hold the same snippet, or the limits leave no episodes.
    """
    config = config or SliceConfig()
    headers = [_read_header(path) for path in _all_paths(sources)]
    config.selection.check_found([snippet for header in headers for snippet in header.snippets])
    chosen = [(header, _chosen(header, config.selection)) for header in headers]
    chosen = sorted(((h, s) for h, s in chosen if s), key=lambda item: (item[1][0].clip_id, str(item[0].path)))
    first = chosen[0][0]
    for header, _ in chosen:
        _check_agreement(first, header)
    _check_unique(chosen)
    layout, slots = _limited(first.layout, config)
    columns, layout = _reduced(layout, first, config.observables)
    parts = tuple(_part(header, snippets, slots) for header, snippets in chosen)
    return RolloutSlice(layout, first.cameras, parts, first.width, columns, slots)


@dataclass(frozen=True)
class _Header:
    """What a file says of itself before any episode is read."""

    path: Path
    layout: RolloutLayout
    width: int
    columns: Mapping[str, NDArray[np.int64]]
    snippets: tuple[Snippet, ...]
    lengths: Mapping[str, NDArray[np.int64]]
    cameras: tuple[str, ...]


def _all_paths(sources: Sequence[Path | str]) -> list[Path]:
    """List the files of all sources; one that is named twice counts once."""
    found: dict[Path, Path] = {}
    for source in sources:
        for path in rollout_paths(source):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _read_header(path: Path) -> _Header:
    with interrupts_after(), RolloutFile(path) as file, h5.damage_named(path):
        if not file.snippets or file.n_start_rollouts + file.n_rsi_rollouts == 0:
            raise InvalidInputError(f"{path} holds no {'episodes' if file.snippets else 'snippets'}.")
        ordered = dict(sorted(column_numbers(file).items(), key=lambda item: int(item[1].min(initial=1 << 40))))
        episode = _rollouts(file, file.snippets[0])[0]
        layout = RolloutLayout(
            observables={name: len(numbers) for name, numbers in ordered.items()},
            ref_steps=file.ref_steps,
            n_start_rollouts=file.n_start_rollouts,
            n_rsi_rollouts=file.n_rsi_rollouts,
            act_size=_width(episode, "actions"),
        )
        width = _width(episode, schema.PROPRIOCEPTIVE)
        check_columns(ordered, width)
        return _Header(
            path=path,
            layout=layout,
            width=width,
            columns=ordered,
            snippets=tuple(Snippet.parse(name) for name in file.snippets),
            lengths={name: _lengths(_rollouts(file, name)) for name in file.snippets},
            cameras=episode.cameras,
        )


def _rollouts(file: RolloutFile, snippet: str) -> SnippetRollouts:
    """Return a snippet that the file lists, so that its absence is damage."""
    try:
        return file[snippet]
    except NotFoundError as error:
        raise InvalidInputError(f"{file.path} is damaged: it lists {snippet}, which is not there.") from error


def _width(episode: Episode, path: str) -> int:
    stored = episode.stored(path)
    if stored is None or len(stored.shape) != 2:
        raise InvalidInputError(f"{path} of {episode.snippet} is missing or no table.")
    return int(stored.shape[1])


def _lengths(rollouts: SnippetRollouts) -> NDArray[np.int64]:
    lengths = rollouts.lengths
    if len(lengths) != len(rollouts) or not np.all(np.isfinite(lengths)) or np.any(lengths < 0):
        raise InvalidInputError(f"episode_lengths of {rollouts.name} are not the lengths of {len(rollouts)} episodes.")
    return lengths.astype(np.int64)


def _chosen(header: _Header, selection: Selection) -> tuple[Snippet, ...]:
    return tuple(snippet for snippet in header.snippets if snippet in selection)


def _check_agreement(first: _Header, other: _Header) -> None:
    """Compare what must be the same in all files of a dataset."""
    facts: dict[str, Callable[[_Header], Any]] = {
        "observables": lambda header: {name: numbers.tolist() for name, numbers in header.columns.items()},
        "reference steps": lambda header: header.layout.ref_steps,
        "episodes from the start": lambda header: header.layout.n_start_rollouts,
        "episodes from random steps": lambda header: header.layout.n_rsi_rollouts,
        "number of actions": lambda header: header.layout.act_size,
        "cameras": lambda header: header.cameras,
    }
    for what, fact in facts.items():
        if fact(first) != fact(other):
            raise InvalidInputError(
                f"{first.path} and {other.path} differ in their {what}{_in_words(fact(first), fact(other))}.",
                hint="Choose sources of one recording; `mocapact inspect` shows what each holds.",
            )


def _in_words(ours: Any, theirs: Any) -> str:
    return "" if isinstance(ours, dict) else f" ({ours or 'none'} and {theirs or 'none'})"


def _check_unique(chosen: Sequence[tuple[_Header, tuple[Snippet, ...]]]) -> None:
    seen: dict[Snippet, Path] = {}
    for header, snippets in chosen:
        for snippet in snippets:
            if snippet in seen:
                raise UsageError(
                    f"{snippet} is in {seen[snippet]} and in {header.path}.",
                    hint="Leave one of the two sources out, or choose other clips with --clips.",
                )
            seen[snippet] = header.path


def _limited(layout: RolloutLayout, config: SliceConfig) -> tuple[RolloutLayout, tuple[int, ...]]:
    """Return the layout with fewer episodes, and their numbers in the files."""
    held = (layout.n_start_rollouts, layout.n_rsi_rollouts)
    limits = (config.n_start_rollouts, config.n_rsi_rollouts)
    start, rsi = (count if limit is None else min(count, limit) for count, limit in zip(held, limits, strict=True))
    if start + rsi == 0:
        raise UsageError(
            f"No episodes are left: the sources hold {held[0]} from the start and {held[1]} from random steps.",
            hint="Raise --n-start-rollouts or --n-rsi-rollouts.",
        )
    slots = (*range(start), *range(held[0], held[0] + rsi))
    return replace(layout, n_start_rollouts=start, n_rsi_rollouts=rsi), slots


def _reduced(
    layout: RolloutLayout, header: _Header, observables: tuple[str, ...] | None
) -> tuple[NDArray[np.int64] | None, RolloutLayout]:
    """Return the columns to take (None for all, as they lie) and the layout with the chosen observables."""
    names = tuple(layout.observables) if observables is None else _known(observables, layout.observables)
    columns = np.concatenate([header.columns[name] for name in names])
    whole = np.array_equal(columns, np.arange(header.width))
    return None if whole else columns, replace(layout, observables={name: layout.observables[name] for name in names})


def _known(names: Sequence[str], known: Mapping[str, int]) -> tuple[str, ...]:
    full = tuple(dict.fromkeys(name if name in known else f"{PREFIX}{name}" for name in names))
    for name in full:
        if name not in known:
            short = name.removeprefix(PREFIX)
            hint = did_you_mean(short, [key.removeprefix(PREFIX) for key in known])
            raise NotFoundError(
                f"The sources have no observable {short!r}.", hint=hint or f"They have {', '.join(known)}."
            )
    if not full:
        raise UsageError("At least one observable is needed.")
    return full


def _part(header: _Header, snippets: Sequence[Snippet], slots: Sequence[int]) -> SlicePart:
    names = tuple(map(str, snippets))
    return SlicePart(header.path, names, tuple(int(header.lengths[name][list(slots)].sum()) for name in names))


def _read(episode: Episode, spec: schema.ArraySpec, dims: Mapping[str, int]) -> NDArray[Any] | None:
    """Read one array after comparing its shape with the layout; None where an optional one is missing."""
    stored = episode.stored(spec.path)
    if stored is None and not spec.required:
        return None
    if stored is None:
        raise InvalidInputError(f"{spec.path} of episode {episode.index} of {episode.snippet} is missing.")
    try:
        schema.match_shape(spec, stored.shape, dims)
    except InvalidInputError as error:
        raise InvalidInputError(f"{episode.snippet}, episode {episode.index}: {error.message}") from error
    if stored.size > h5.SMALL_ARRAY:
        raise InvalidInputError(f"{stored.name} claims {stored.size} values, which is absurd here.")
    return np.asarray(stored[()], dtype=spec.dtype)
