"""Reading `dataset_metrics.npz`, ours and the published ones, without running their pickles."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.datasets.metrics import METRICS_FILE, DatasetMetrics, metrics_from_plain
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.safe import archives, pickles

if TYPE_CHECKING:
    import zipfile

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
    content = pickles.loads(file.read(), pickles.NUMPY_GLOBALS, source=f"{path}:{name}")
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InvalidInputError(f"{path}: {name} is not a dictionary by snippet.")
    return content
