from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mocapact_cli.core.datasets.metrics_npz import read_metrics
from mocapact_cli.core.errors import InvalidInputError, NotFoundError


def _npz(path: Path, **content: Any) -> Path:
    np.savez(path, **{name: np.array(value) for name, value in content.items()})
    return path


def test_published_metrics_are_read_without_running_their_pickles(test_data: Path) -> None:
    path = test_data / "published/dataset/dataset_metrics.npz"
    metrics = read_metrics(path)
    expected = np.load(path, allow_pickle=True)
    assert dict(metrics.snippet_returns) == expected["snippet_returns"].item()
    for snippet, values in expected["values"].item().items():
        np.testing.assert_array_equal(metrics.values[snippet], values)
    for snippet, values in expected["advantages"].item().items():
        np.testing.assert_array_equal(metrics.advantages[snippet], values)
        assert metrics.advantages[snippet].dtype == np.float64
    np.testing.assert_array_equal(metrics.arrays["act_var"], expected["act_var"])


def test_dictionaries_that_numpy_pickled_itself_are_read(tmp_path: Path) -> None:
    returns, values = {"walk-0-9": np.float64(0.5)}, {"walk-0-9": np.arange(4.0)}
    path = _npz(tmp_path / "m.npz", count=3, snippet_returns=returns, values=values, advantages=values)
    metrics = read_metrics(path)
    assert metrics.snippet_returns == {"walk-0-9": 0.5}
    assert metrics.values["walk-0-9"].tolist() == [0.0, 1.0, 2.0, 3.0]


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def test_a_hostile_dictionary_is_refused(tmp_path: Path) -> None:
    good = {"walk-0-9": 0.5}
    evil = {"walk-0-9": _Evil(tmp_path / "executed")}
    path = _npz(tmp_path / "m.npz", snippet_returns=good, values=evil, advantages=good)
    with pytest.raises(InvalidInputError, match=r"posix\.system"):
        read_metrics(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"not a zip"])
def test_what_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"m\.npz is damaged"):
        read_metrics(tmp_path / "m.npz")


def test_other_npz_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="snippet_returns"):
        read_metrics(_npz(tmp_path / "m.npz", count=3))
    with pytest.raises(InvalidInputError, match="not a dictionary"):
        read_metrics(_npz(tmp_path / "n.npz", snippet_returns=3, values=3, advantages=3))


def test_a_member_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 60,)})
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("count.npy", header.getvalue())
    with pytest.raises(InvalidInputError, match="damaged"):
        read_metrics(tmp_path / "m.npz")


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        read_metrics(tmp_path)
