"""D4RL's layout: all steps of all episodes in flat arrays, as one HDF5 or npz file.

`observations`, `actions`, `rewards`, `next_observations`, `terminals` and `timeouts` are what D4RL's readers look for;
arrays of as many rows under `infos/` say more of each step, `metadata/` tells of the whole.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.datasets.disk_file import interrupts_after
from mocapact_cli.core.datasets.h5_output import create_h5
from mocapact_cli.core.errors import naming_os_errors
from mocapact_cli.core.interop.exporters.steps import EpisodeSteps, all_steps, columns_of

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray

    from mocapact_cli.core.datasets.slicing import RolloutSlice
    from mocapact_cli.core.progress import ProgressTask

NPZ = ".npz"
SUFFIXES = (".hdf5", ".h5", NPZ)
_ROWS_AT_ONCE = 4096
_CAMERAS = "infos/cameras/"


def write_d4rl(source: RolloutSlice, path: Path, task: ProgressTask, *, actions: str = "sampled") -> None:
    """Write the chosen episodes to one file; an npz where `path` ends in `.npz`, else HDF5.

    Args:
        source: The chosen episodes.
        path: The file; it appears when it is complete.
        task: Told of every step.
        actions: `sampled` or `mean`: which ones `actions` holds; the others are in `infos/`.

    Raises:
        InvalidInputError: A source is damaged.
        OSError: The disk is full.
    """
    with atomic_write(path) as temporary:
        if path.suffix != NPZ:
            _write_h5(source, temporary, task, actions)
            return
        # A member of an npz is written from end to end, so the flat arrays have to be there before.
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
            flat = Path(scratch) / "flat.hdf5"
            with naming_os_errors(path, instead_of=Path(scratch)):
                _write_h5(source, flat, task, actions)
            _convert(flat, temporary)


def _write_h5(source: RolloutSlice, path: Path, task: ProgressTask, actions: str) -> None:
    snippets = {name: index for index, name in enumerate(source.snippets)}
    with create_h5(path) as output:
        begin = 0
        for number, steps in enumerate(all_steps(source, actions)):
            rows = _rows(steps, number, snippets[steps.snippet])
            with output.writing() as file:
                if number == 0:
                    _create(file, rows, source.steps)
                for name, array in rows.items():
                    file[name][begin : begin + len(steps)] = array
            begin += len(steps)
            task.advance(len(steps))
        with output.writing() as file:
            for name, value in _metadata(source, actions).items():
                file[f"metadata/{name}"] = value


def _rows(steps: EpisodeSteps, episode: int, snippet: int) -> dict[str, NDArray[Any]]:
    """Return the rows of one episode by array; `next_observations` of its last step is the episode's last one."""
    count = len(steps)
    images = {f"{_CAMERAS}{name}": images[:-1] for name, images in steps.cameras.items()}
    return {
        "observations": steps.observations[:-1],
        "actions": steps.actions,
        "rewards": steps.rewards,
        "next_observations": steps.observations[1:],
        "terminals": steps.terminals,
        "timeouts": steps.timeouts,
        **{f"infos/{name}": array for name, array in steps.extras.items()},
        "infos/episode": np.full(count, episode, dtype=np.int64),
        "infos/snippet": np.full(count, snippet, dtype=np.int64),
        "infos/from_start": np.full(count, steps.from_start),
        **images,
    }


def _create(file: h5py.File, rows: dict[str, NDArray[Any]], total: int) -> None:
    """Make the arrays in their final size: contiguous, so that readers may map them; images compressed one by one."""
    for name, array in rows.items():
        images = {"chunks": (1, *array.shape[1:]), "compression": "gzip"} if name.startswith(_CAMERAS) else {}
        file.create_dataset(name, (total, *array.shape[1:]), array.dtype, **images)


def _metadata(source: RolloutSlice, actions: str) -> dict[str, Any]:
    """Return what holds for the whole; names are bytes of fixed length, which need no pickling in an npz."""
    columns = columns_of(source.layout)
    return {
        "format": np.bytes_("mocapact-d4rl 1"),
        "actions": np.bytes_(actions),
        "observables": np.array([name.encode() for name in columns]),
        "observable_columns": np.array(list(columns.values()), dtype=np.int64),
        "snippets": np.array([name.encode() for name in source.snippets]),
        "ref_steps": np.array(source.layout.ref_steps, dtype=np.int64),
    }


def _convert(flat: Path, path: Path) -> None:
    """Write the arrays of an HDF5 file as members of an npz, a few rows at a time."""
    import h5py

    with h5py.File(flat, "r") as file, zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        arrays: dict[str, Any] = {}
        with interrupts_after():
            file.visititems(lambda name, item: arrays.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        for name, array in arrays.items():
            # A fixed date, so that equal data give equal bytes.
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            with archive.open(member, "w", force_zip64=True) as target:
                _write_npy(target, array)


def _write_npy(target: IO[bytes], array: h5py.Dataset) -> None:
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(target, header)
    starts = range(0, len(array), _ROWS_AT_ONCE) if array.shape else ()
    places: list[Any] = [slice(begin, begin + _ROWS_AT_ONCE) for begin in starts] or [()]
    for place in places:
        # Ctrl-C inside h5py's own callbacks would be lost.
        with interrupts_after():
            rows = np.ascontiguousarray(array[place])
        target.write(rows.tobytes())
