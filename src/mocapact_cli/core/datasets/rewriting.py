"""Writing a slice of rollout files as rollout files again: merging datasets, taking parts of them."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.datasets.metrics import write_metrics
from mocapact_cli.core.datasets.reader import SUFFIX, RolloutFile
from mocapact_cli.core.datasets.writer import RolloutWriter
from mocapact_cli.core.safe import h5

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mocapact_cli.core.datasets.slicing import RolloutSlice, SlicePart
    from mocapact_cli.core.progress import ProgressTask

_OWN_ATTRIBUTES = ("format", "format_version", "statistics")
_EXPERTS = "experts"


def write_slice(source: RolloutSlice, folder: Path, task: ProgressTask) -> None:
    """Write the chosen episodes as one HDF5 file a clip, with `dataset_metrics.npz` beside.

    Statistics are counted anew. Attributes are kept; where the sources of one clip disagree in one, all their values
    are, as a JSON list.

    Args:
        source: The chosen episodes.
        folder: Where the files go.
        task: Told of every step.

    Raises:
        InvalidInputError: A source is damaged.
        RunError: The disk is full.
    """
    for clip_id, parts in groupby(source.parts, key=lambda part: Snippet.parse(part.snippets[0]).clip_id):
        _write_clip(source, list(parts), folder / f"{clip_id}{SUFFIX}", task)
    write_metrics(folder)


def _write_clip(source: RolloutSlice, parts: Sequence[SlicePart], path: Path, task: ProgressTask) -> None:
    names = sorted((name for part in parts for name in part.snippets), key=Snippet.parse)
    attributes = merge_attributes([read_attributes(part.path) for part in parts])
    with RolloutWriter(path, source.layout, names, attributes) as writer:
        for part in parts:
            for episode in source.read(part):
                writer.add(episode.snippet, episode.slot, episode.record)
                task.advance(len(episode.record.actions))


def read_attributes(path: Path) -> dict[str, Any]:
    """Return the plain attributes of a rollout file, without those that every writer sets itself.

    Raises:
        InvalidInputError: They are damaged.
    """
    with RolloutFile(path) as file, h5.damage_named(path):
        kept = {name: file.handle.attrs.get(name) for name in file.handle.attrs if _is_kept(file, name)}
    return {name: value for name, value in kept.items() if isinstance(value, str | int | float | np.generic)}


def _is_kept(file: RolloutFile, name: str) -> bool:
    # Attributes of other kinds (references, large arrays) say nothing that a rollout file has to say.
    shape = file.handle.attrs.get_id(name).shape
    return name not in _OWN_ATTRIBUTES and "checksum" not in name and shape == ()


def merge_attributes(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the attributes of several files together.

    Equal values stay as they are, the digests of `experts` (a JSON object by snippet) are united, and different values
    become a JSON list.
    """
    names = dict.fromkeys(name for attributes in found for name in attributes)
    merged: dict[str, Any] = {}
    for name in names:
        values = [attributes[name] for attributes in found if name in attributes]
        distinct = [value for index, value in enumerate(values) if value not in values[:index]]
        united = _united(distinct) if name == _EXPERTS else None
        merged[name] = (
            distinct[0] if len(distinct) == 1 else united or json.dumps([_plain(value) for value in distinct])
        )
    return merged


def _united(values: Sequence[Any]) -> str | None:
    """Return the union of JSON objects as JSON; None where one is no object."""
    try:
        parts = [json.loads(value) for value in values]
    except (TypeError, ValueError):
        return None
    if not all(isinstance(part, dict) for part in parts):
        return None
    return json.dumps({name: digest for part in parts for name, digest in part.items()}, sort_keys=True)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
