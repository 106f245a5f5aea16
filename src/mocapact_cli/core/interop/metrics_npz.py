"""Reading `dataset_metrics.npz`, ours and the published ones, without running their pickles."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.datasets.metrics import DatasetMetrics, metrics_from_plain
from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.interop import safe_pickle

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PICKLED = ("snippet_returns", "values", "advantages")
_HEADER_LIMIT = 10_000
_MEMBER_LIMIT = 1 << 33


def read_metrics(path: Path | str) -> DatasetMetrics:
    """Read the metrics of a dataset from its `dataset_metrics.npz`, or from the one in a folder.

    Raises:
        NotFoundError: The file does not exist.
        InvalidInputError: It is damaged, hostile or lacks what it should hold.
    """
    path = Path(path) / "dataset_metrics.npz" if Path(path).is_dir() else Path(path)
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist.", hint="It lies beside the rollout files of a dataset.")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive, path)
    except (zipfile.BadZipFile, ValueError, KeyError, OSError, EOFError) as error:
        raise InvalidInputError(f"{path} is damaged: {error}.") from error


def _read(archive: zipfile.ZipFile, path: Path) -> DatasetMetrics:
    names = {Path(name).stem for name in archive.namelist()}
    if "plain_snippets" in names:
        return metrics_from_plain({name: _plain_member(archive, name) for name in names.difference(_PICKLED)})
    lacking = sorted(set(_PICKLED).difference(names))
    if lacking:
        raise InvalidInputError(f"{path} has no {', '.join(lacking)}: it is not a dataset's metrics.")
    returns, values, advantages = (_pickled_member(archive, name, path) for name in _PICKLED)
    arrays = {name: _plain_member(archive, name) for name in sorted(names.difference(_PICKLED))}
    return DatasetMetrics(arrays, {name: float(value) for name, value in returns.items()}, values, advantages)


def _member(archive: zipfile.ZipFile, name: str) -> io.BytesIO:
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > _MEMBER_LIMIT:
        raise ValueError(f"{info.filename} claims {info.file_size} bytes")
    return io.BytesIO(archive.read(info))


def _plain_member(archive: zipfile.ZipFile, name: str) -> NDArray[np.generic]:
    return np.lib.format.read_array(_member(archive, name), allow_pickle=False, max_header_size=_HEADER_LIMIT)


def _pickled_member(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    """Read a 0-d object array that holds a dictionary with snippet names for keys."""
    file = _member(archive, name)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    shape, _, dtype = read_header[version](file, max_header_size=_HEADER_LIMIT)
    if shape != () or dtype != np.dtype(object):
        raise ValueError(f"{name} is not a dictionary")
    content = safe_pickle.loads(file.read(), safe_pickle.NUMPY_GLOBALS, source=f"{path}:{name}")
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError(f"{name} is not a dictionary")
    return content
