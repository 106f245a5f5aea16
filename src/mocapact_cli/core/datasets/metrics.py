"""`dataset_metrics.npz`: statistics, returns, values and advantages of a whole dataset, beside its files.

The original project stores `snippet_returns`, `values` and `advantages` as pickled dictionaries (snippet -> number or
array). Its users read them so, hence they are written so; the same facts stand in plain arrays in the same file, which
is what mocapact reads.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.datasets.reader import RolloutFile, rollout_paths
from mocapact_cli.core.datasets.statistics import RolloutStatistics
from mocapact_cli.core.safe import h5

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

METRICS_FILE = "dataset_metrics.npz"


@dataclass(frozen=True)
class DatasetMetrics:
    """What the weighting schemes of policy distillation need to know of a dataset.

    Attributes:
        arrays: The statistics by their published names (`proprio_mean`, ..., `count`).
        snippet_returns: Snippet -> mean normalized return of its episodes.
        values: Snippet -> values of all steps, episode after episode.
        advantages: Snippet -> advantages of all steps.
    """

    arrays: Mapping[str, NDArray[np.generic]]
    snippet_returns: Mapping[str, float]
    values: Mapping[str, NDArray[np.floating]]
    advantages: Mapping[str, NDArray[np.floating]]


def collect_metrics(paths: Iterable[Path]) -> DatasetMetrics:
    """Gather the metrics of a dataset from its files, one after the other.

    Memory holds what is returned, and one file's headers.

    Raises:
        InvalidInputError: A file is damaged.
    """
    statistics: RolloutStatistics | None = None
    returns: dict[str, float] = {}
    values: dict[str, NDArray[np.floating]] = {}
    advantages: dict[str, NDArray[np.floating]] = {}
    for path in paths:
        with RolloutFile(path) as file, h5.damage_named(path):
            part = file.statistics()
            for name in file.snippets:
                own = file[name]
                returns[name] = float(own.norm_returns.mean())
                values[name] = np.concatenate([episode.values for episode in own])
                advantages[name] = np.concatenate([episode.advantages for episode in own]).astype(np.float64)
        if statistics is None:
            statistics = part
        else:
            statistics.merge(part)
    return DatasetMetrics(statistics.arrays() if statistics else {}, returns, values, advantages)


def write_metrics(folder: Path | str) -> Path:
    """Gather the metrics of the rollout files in `folder` and write `dataset_metrics.npz` there.

    Raises:
        NotFoundError: The folder holds no rollout files.
        InvalidInputError: One of them is damaged.
    """
    metrics = collect_metrics(rollout_paths(folder))
    path = Path(folder) / METRICS_FILE
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
        for name, array in (dict(metrics.arrays) | _plain_arrays(metrics)).items():
            archive.writestr(_member(name), _npy(lambda file, array=array: np.lib.format.write_array(file, array)))  # type: ignore[misc]
        for name in ("snippet_returns", "values", "advantages"):
            content = dict(getattr(metrics, name))
            archive.writestr(_member(name), _npy(lambda file, content=content: _write_pickled(file, content)))  # type: ignore[misc]
    return path


def metrics_from_plain(arrays: Mapping[str, NDArray[Any]]) -> DatasetMetrics:
    """Put together the metrics from the plain arrays of a `dataset_metrics.npz` that mocapact wrote."""
    names = [str(name) for name in arrays["plain_snippets"]]
    ends = np.cumsum(arrays["plain_lengths"])[:-1]
    statistics = {name: array for name, array in arrays.items() if not name.startswith("plain_")}
    return DatasetMetrics(
        arrays=statistics,
        snippet_returns=dict(zip(names, arrays["plain_returns"].tolist(), strict=True)),
        values=dict(zip(names, np.split(arrays["plain_values"], ends), strict=True)),
        advantages=dict(zip(names, np.split(arrays["plain_advantages"], ends), strict=True)),
    )


def _plain_arrays(metrics: DatasetMetrics) -> dict[str, NDArray[np.generic]]:
    names = list(metrics.values)
    return {
        "plain_snippets": np.array(names),
        "plain_lengths": np.array([len(metrics.values[name]) for name in names], dtype=np.int64),
        "plain_returns": np.array([metrics.snippet_returns[name] for name in names]),
        "plain_values": np.concatenate([metrics.values[name] for name in names]),
        "plain_advantages": np.concatenate([metrics.advantages[name] for name in names]),
    }


def _member(name: str) -> zipfile.ZipInfo:
    # A fixed date, so that equal data give equal bytes.
    return zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))


def _npy(write: Callable[[io.BytesIO], None]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def _write_pickled(file: io.BytesIO, content: dict[str, Any]) -> None:
    """Write a 0-d object array that holds a dictionary, in a way that NumPy 1 and 2 both read.

    NumPy 2 pickles arrays by functions that NumPy before 1.26 does not have; `frombuffer` is in all of them.
    """
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    pickler = pickle.Pickler(file, protocol=4)
    pickler.dispatch_table = {np.ndarray: _reduce_array}
    pickler.dump(_ObjectArray(content))


def _reduce_array(array: NDArray[np.generic]) -> tuple[Any, ...]:
    return np.frombuffer, (bytearray(array.tobytes()), array.dtype.str)


class _ObjectArray:
    """Pickles as the 0-d NumPy array that holds `content`."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return np.array, (self.content,)
