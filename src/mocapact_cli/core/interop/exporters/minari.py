"""Minari's layout: a folder with one HDF5 file of episodes and a JSON file of metadata.

Spaces and metadata go through Minari itself. The episodes are written here, in the layout of its HDF5 storage: Minari
would write them with h5py to the disk directly, and a disk that fills up would then crash the process.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli import __version__
from mocapact_cli.core.atomic import atomic_folder, write_text
from mocapact_cli.core.datasets.h5_output import create_h5
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.formatting import counted
from mocapact_cli.core.interop.exporters.steps import PREFIX, EpisodeSteps, all_steps, columns_of
from mocapact_cli.core.interop.extras import require

if TYPE_CHECKING:
    import gymnasium
    import h5py

    from mocapact_cli.core.datasets.slicing import RolloutSlice
    from mocapact_cli.core.progress import ProgressTask

NAMESPACE = "mocapact"
DATA_FILE = "main_data.hdf5"
NAMESPACE_FILE = "namespace_metadata.json"
SPACES = ("flat", "dict")
CAMERA_SHAPE = (64, 64, 3)
_PURPOSE = "Minari datasets"
_NAME = re.compile(r"(?:[-\w]{2,}/)*[-\w]+-v\d+", re.ASCII)


def dataset_name(text: str) -> str:
    """Make an id for Minari, such as `mocapact/dataset-v0`, of any text."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "rollouts"
    return f"{NAMESPACE}/{stem}-v0"


def check_name(name: str) -> str:
    """Return `name` if it is an id for Minari.

    Raises:
        UsageError: It is none.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for Minari.", hint="Write NAMESPACE/NAME-vN, such as mocapact/walk-v0.")
    return name


def write_minari(
    source: RolloutSlice,
    root: Path,
    name: str,
    task: ProgressTask,
    *,
    actions: str = "sampled",
    space: str = "flat",
) -> Path:
    """Write the chosen episodes as a Minari dataset and return its folder.

    Args:
        source: The chosen episodes.
        root: The folder of all Minari datasets: what `MINARI_DATASETS_PATH` names when the dataset is loaded.
        name: Its id, such as `mocapact/walk-v0`; what is there is replaced when the new one is complete.
        task: Told of every step.
        actions: `sampled` or `mean`: which ones are the actions; the others are in the infos.
        space: `flat` for one vector, `dict` for a dictionary of observables and camera images.

    Raises:
        MissingDependencyError: Minari is not installed.
        InvalidInputError: A source is damaged.
        OSError: The disk is full.
    """
    minari = require("minari", purpose=_PURPOSE)
    folder = root / check_name(name)
    with atomic_folder(folder) as temporary:
        data = temporary.resolve() / "data"
        storage = require("minari.dataset.minari_storage", purpose=_PURPOSE).MinariStorage.new(
            data, observation_space(source, space), _box(source.layout.act_size, 1.0), jpeg_encoding=False
        )
        _write_episodes(source, data / DATA_FILE, task, actions, space)
        storage.update_metadata(_metadata(source, name, actions))
        storage.update_metadata({"minari_version": minari.__version__, "dataset_size": float(storage.get_size())})
    _describe_namespaces(root, folder.parent)
    return folder


def observation_space(source: RolloutSlice, kind: str) -> gymnasium.Space[Any]:
    """Return the space of the observations.

    Args:
        source: The chosen episodes.
        kind: `flat` or `dict`.

    Raises:
        UsageError: There is no such kind.
    """
    from gymnasium import spaces

    if kind not in SPACES:
        raise UsageError(f"There is no {kind!r} observation space.", hint=f"Choose {' or '.join(SPACES)}.")
    if kind == "flat":
        return _box(source.layout.obs_size)
    parts: dict[str, spaces.Space[Any]] = {_key(name): _box(size) for name, size in source.layout.observables.items()}
    images = {_key(name): spaces.Box(0, 255, CAMERA_SHAPE, np.uint8) for name in source.cameras}
    return spaces.Dict(parts | images)


def _box(size: int, bound: float = np.inf) -> gymnasium.spaces.Box:
    from gymnasium import spaces

    return spaces.Box(-bound, bound, (size,), np.float32)


def _key(name: str) -> str:
    """Return an observable's key in a dictionary: HDF5 would take a slash in it for a group."""
    return name.removeprefix(PREFIX)


def _write_episodes(source: RolloutSlice, path: Path, task: ProgressTask, actions: str, space: str) -> None:
    columns = {_key(name): slice(*bounds) for name, bounds in columns_of(source.layout).items()}
    with create_h5(path, track_order=True) as output:
        for number, steps in enumerate(all_steps(source, actions)):
            with output.writing() as file:
                _write_episode(file.create_group(f"episode_{number}"), steps, columns if space == "dict" else None)
            task.advance(len(steps))


def _write_episode(group: h5py.Group, steps: EpisodeSteps, columns: dict[str, slice] | None) -> None:
    number = int(group.name.rpartition("_")[2])
    group.attrs.update(id=number, total_steps=len(steps), **_facts(steps))
    if columns is None:
        group["observations"] = steps.observations
    else:
        for name, part in columns.items():
            group[f"observations/{name}"] = steps.observations[:, part]
        for name, images in steps.cameras.items():
            shape = images.shape[1:]
            group.create_dataset(f"observations/{name}", data=images, chunks=(1, *shape), compression="gzip")
    flat = {"actions": steps.actions, "rewards": steps.rewards}
    ends = {"terminations": steps.terminals, "truncations": steps.timeouts}
    for name, array in (flat | ends | {f"infos/{name}": array for name, array in steps.extras.items()}).items():
        group[name] = array


def _facts(steps: EpisodeSteps) -> dict[str, Any]:
    """Return what Minari shows as the metadata of an episode."""
    return {"snippet": steps.snippet, "from_start": steps.from_start, "early_termination": steps.failed}


def _metadata(source: RolloutSlice, name: str, actions: str) -> dict[str, Any]:
    """Return the dataset's metadata: what Minari knows by name, and what the columns and actions mean."""
    return {
        "dataset_id": name,
        "total_episodes": source.episodes,
        "total_steps": source.steps,
        "author": {"mocapact"},
        "algorithm_name": "MoCapAct tracking experts",
        "description": f"{counted(source.episodes, 'episode')} of a simulated humanoid that tracks "
        f"{counted(len(source.snippets), 'motion-capture snippet')}; {actions} actions. "
        f"Exported by mocapact {__version__}.",
        "actions": actions,
        "observables": columns_of(source.layout),
        "ref_steps": list(source.layout.ref_steps),
        "snippets": list(source.snippets),
    }


def _describe_namespaces(root: Path, folder: Path) -> None:
    """Mark the folders between the root and the dataset as namespaces, which Minari lists by this file."""
    while folder != root:
        if not (folder / NAMESPACE_FILE).exists():
            write_text(folder / NAMESPACE_FILE, "{}")
        folder = folder.parent
