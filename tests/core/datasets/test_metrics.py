from __future__ import annotations

import hashlib
import pickletools
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.datasets.metrics import METRICS_FILE, metrics_from_plain, write_metrics

SNIPPETS = ["walk-0-9", "walk-5-20"]


@pytest.fixture
def folder(rolls, tmp_path: Path) -> Path:
    rolls.write(tmp_path / "walk.hdf5", SNIPPETS)
    write_metrics(tmp_path)
    return tmp_path


def test_users_of_the_original_read_their_dictionaries(rolls, folder: Path) -> None:
    records = rolls.records(SNIPPETS)
    with np.load(folder / METRICS_FILE, allow_pickle=True) as metrics:
        returns, values, advantages = (metrics[name].item() for name in ("snippet_returns", "values", "advantages"))
        assert metrics["values"].shape == ()
    for snippet in SNIPPETS:
        own = [records[snippet, slot] for slot in range(3)]
        assert returns[snippet] == pytest.approx(np.mean([record.norm_return for record in own]))
        np.testing.assert_array_equal(values[snippet], np.concatenate([record.values for record in own]))
        assert advantages[snippet].dtype == np.float64
        assert values[snippet].flags.writeable


def test_the_pickles_name_only_what_every_numpy_has(folder: Path) -> None:
    with zipfile.ZipFile(folder / METRICS_FILE) as archive:
        content = archive.read("values.npy")[128:]
    words = [value for code, value, _ in pickletools.genops(content) if code.name == "SHORT_BINUNICODE"]
    assert {"numpy", "array", "frombuffer", "builtins", "bytearray"}.issuperset(set(words) - {*SNIPPETS, "<f4"})


def test_the_same_facts_stand_in_plain_arrays(folder: Path) -> None:
    with np.load(folder / METRICS_FILE, allow_pickle=True) as pickled:
        expected = pickled["advantages"].item()
        plain = {name: pickled[name] for name in pickled.files if not pickled[name].dtype.hasobject}
    metrics = metrics_from_plain(plain)
    assert list(metrics.advantages) == SNIPPETS
    for snippet in SNIPPETS:
        np.testing.assert_array_equal(metrics.advantages[snippet], expected[snippet])
    assert int(metrics.arrays["act_count"]) == sum(map(len, expected.values()))


def test_equal_data_give_equal_bytes(folder: Path) -> None:
    def digest() -> str:
        return hashlib.sha256((folder / METRICS_FILE).read_bytes()).hexdigest()

    first = digest()
    write_metrics(folder)
    assert digest() == first


def test_published_metrics_come_out_of_published_files(test_data: Path, tmp_path: Path) -> None:
    for name in ("CMU_901_01.hdf5", "CMU_902_01.hdf5"):
        (tmp_path / name).write_bytes((test_data / "published/dataset" / name).read_bytes())
    write_metrics(tmp_path)
    published = np.load(test_data / "published/dataset" / METRICS_FILE, allow_pickle=True)
    ours = np.load(tmp_path / METRICS_FILE, allow_pickle=True)
    for name in ("snippet_returns", "values", "advantages"):
        expected, found = published[name].item(), ours[name].item()
        assert list(found) == list(expected)
        for snippet in expected:
            np.testing.assert_allclose(found[snippet], expected[snippet], atol=1e-6)
    np.testing.assert_allclose(ours["proprio_mean"], published["proprio_mean"], atol=1e-5)
