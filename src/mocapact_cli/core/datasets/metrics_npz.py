"""Reading `dataset_metrics.npz`, ours and the published ones, without running their pickles."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.datasets import schema
from mocapact_cli.core.datasets.metrics import METRICS_FILE, DatasetMetrics, metrics_from_plain
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.safe import archives, pickles
from mocapact_cli.core.safe.allow_list import METRICS

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Mapping

_PICKLED = ("snippet_returns", "values", "advantages")


def read_metrics(path: Path | str) -> DatasetMetrics:
    """Read the metrics of a dataset from its `dataset_metrics.npz`, or from the one in a folder.

    Raises:
        NotFoundError: The file does not exist.
        InvalidInputError: It is damaged, hostile or lacks what it should hold.
    """
    path = Path(path) / METRICS_FILE if Path(path).is_dir() else Path(path)
    plain = dict(archives.read_npz(path))
    if "plain_snippets" in plain:
        return _checked_plain(plain, path)
    with archives.open_zip(path) as archive:
        returns, values, advantages = (_dictionary(archive, name, path) for name in _PICKLED)
    return DatasetMetrics(plain, {name: float(value) for name, value in returns.items()}, values, advantages)


def check_metrics(path: Path | str) -> DatasetMetrics:
    """Read a `dataset_metrics.npz` from end to end and return what it holds.

    Raises:
        NotFoundError: The file does not exist.
        InvalidInputError: It is damaged or its parts contradict each other.
    """
    archives.check_members(path)
    metrics = read_metrics(path)
    _check_statistics(metrics, path)
    tables = (metrics.snippet_returns, metrics.values, metrics.advantages)
    with archives.open_zip(path) as archive:
        pickled = tuple(_dictionary(archive, name, Path(path)) for name in _PICKLED)
    for name, table, twin in zip(_PICKLED, tables, pickled, strict=True):
        _check_table(name, table, twin, metrics, path)
    return metrics


def _check_statistics(metrics: DatasetMetrics, path: Path | str) -> None:
    """The statistics are complete and of one size each."""
    for spec in schema.FILE_ARRAYS:
        name = spec.path.removeprefix("stats/")
        if name == spec.path or (not spec.required and name not in metrics.arrays):
            continue
        array = metrics.arrays.get(name)
        if array is None or array.ndim != len(spec.shape) or array.dtype.kind not in "iuf":
            raise InvalidInputError(f"{path}: {name} is {'missing' if array is None else 'not as it should be'}.")
        if not np.all(np.isfinite(array)):
            raise InvalidInputError(f"{path}: {name} holds values that are not finite.")


def _check_table(
    name: str, table: Mapping[str, Any], twin: Mapping[str, Any], metrics: DatasetMetrics, path: Path | str
) -> None:
    """A table has every snippet, finite, with as many numbers as the others, and equal in both forms in the file."""
    if table.keys() != metrics.snippet_returns.keys() or table.keys() != twin.keys():
        raise InvalidInputError(f"{path}: {name} is not of the same snippets as snippet_returns.")
    for snippet, values in table.items():
        found = np.asarray(values)
        if found.dtype.kind not in "iuf" or not np.all(np.isfinite(found)):
            raise InvalidInputError(f"{path}: {name} of {snippet} holds values that are not finite numbers.")
        if found.ndim and len(found) != len(metrics.values[snippet]):
            raise InvalidInputError(f"{path}: {name} of {snippet} has another length than its values.")
        if not np.array_equal(found, np.asarray(twin[snippet])):
            raise InvalidInputError(f"{path}: {name} of {snippet} differs between the file's plain and pickled part.")


def _checked_plain(plain: dict[str, Any], path: Path) -> DatasetMetrics:
    try:
        return metrics_from_plain(plain)
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidInputError(f"{path} is damaged: {error}.") from error


def _dictionary(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    """Read a 0-d object array that holds a dictionary with snippet names for keys."""
    file = io.BytesIO(archives.read_member(archive, f"{name}.npy"))
    shape, dtype = archives.npy_header(file)
    if shape != () or not dtype.hasobject:
        raise InvalidInputError(f"{path}: {name} is not a dictionary.")
    content = pickles.loads(file.read(), METRICS, source=f"{path}:{name}")
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InvalidInputError(f"{path}: {name} is not a dictionary by snippet.")
    return content
