from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from mocapact_cli.core.datasets.check import check_rollouts
from mocapact_cli.core.datasets.reader import RolloutFile, read_rollouts
from mocapact_cli.core.datasets.rewriting import merge_attributes, read_attributes, write_slice
from mocapact_cli.core.datasets.selection import parse_selection
from mocapact_cli.core.datasets.slicing import SliceConfig, open_slice
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.progress import NullTask


def _content(path: Path) -> dict[str, np.ndarray]:
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def _assert_equal(ours: Path, theirs: Path) -> None:
    one, other = _content(ours), _content(theirs)
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_a_whole_dataset_is_written_again_as_it_was(tmp_path: Path, rolls) -> None:
    rolls.write(tmp_path / "a/a.hdf5", ["a-0-9", "a-5-20"])
    write_slice(open_slice([tmp_path / "a"]), tmp_path / "b", NullTask())
    _assert_equal(tmp_path / "b/a.hdf5", tmp_path / "a/a.hdf5")
    assert read_attributes(tmp_path / "b/a.hdf5") == {"seed": 3}
    assert (tmp_path / "b/dataset_metrics.npz").exists()


def test_parts_of_a_clip_from_two_files_become_one_file(tmp_path: Path, rolls) -> None:
    rolls.write(tmp_path / "whole/a.hdf5", ["a-0-9", "a-5-20"])
    for snippet in ("a-5-20", "a-0-9"):
        part = open_slice([tmp_path / "whole"], SliceConfig(parse_selection(snippet)))
        write_slice(part, tmp_path / snippet, NullTask())
    write_slice(open_slice([tmp_path / "a-5-20", tmp_path / "a-0-9"]), tmp_path / "merged", NullTask())
    _assert_equal(tmp_path / "merged/a.hdf5", tmp_path / "whole/a.hdf5")


def test_statistics_are_those_of_the_slice(tmp_path: Path, rolls) -> None:
    records = rolls.write(tmp_path / "a/a.hdf5", ["a-0-9", "a-5-20"])
    part = open_slice([tmp_path / "a"], SliceConfig(parse_selection("a-0-9"), ("joints_pos",), n_rsi_rollouts=0))
    write_slice(part, tmp_path / "b", NullTask())
    check_rollouts(tmp_path / "b/a.hdf5")
    chosen = [records["a-0-9", slot] for slot in (0, 1)]
    with RolloutFile(tmp_path / "b/a.hdf5") as file:
        statistics = file.statistics()
        assert file.n_rsi_rollouts == 0
    observations = np.concatenate([record.observations[:, 1:5] for record in chosen])
    np.testing.assert_allclose(statistics.proprio.mean, observations.mean(axis=0), rtol=1e-5)
    assert statistics.act.count == sum(len(record.actions) for record in chosen)


def test_files_without_mean_actions_are_written_without_them(tmp_path: Path, rolls) -> None:
    rolls.write(tmp_path / "a/a.hdf5", ["a-0-9"])
    with h5py.File(tmp_path / "a/a.hdf5", "r+") as file:
        for path in ("stats/mean_act_mean", "stats/mean_act_var", *(f"a-0-9/{slot}/mean_actions" for slot in range(3))):
            del file[path]
    write_slice(open_slice([tmp_path / "a"]), tmp_path / "b", NullTask())
    check_rollouts(tmp_path / "b/a.hdf5")
    _assert_equal(tmp_path / "b/a.hdf5", tmp_path / "a/a.hdf5")


def test_published_files_become_ours_with_their_numbers(tmp_path: Path, test_data: Path) -> None:
    source = test_data / "published/dataset_cameras"
    write_slice(open_slice([source]), tmp_path / "b", NullTask())
    check_rollouts(tmp_path / "b/CMU_902_01.hdf5")
    ours, theirs = _content(tmp_path / "b/CMU_902_01.hdf5"), _content(source / "CMU_902_01.hdf5")
    for name in (name for name in theirs if not name.startswith("stats/")):
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    with read_rollouts(tmp_path / "b") as written, read_rollouts(source) as published:
        np.testing.assert_allclose(written.statistics().act.mean, published.statistics().act.mean, atol=1e-6)


def test_damaged_files_end_in_one_error_or_none(tmp_path: Path, rolls) -> None:
    path = tmp_path / "a/a.hdf5"
    rolls.write(path, ["a-0-9"])
    content, outcomes = path.read_bytes(), set()
    for seed in range(90):
        rng, damaged = np.random.default_rng(seed), bytearray(content)
        if seed % 3 == 0:
            damaged = damaged[: rng.integers(len(content))]
        else:
            for place in rng.integers(0, len(content) if seed % 3 == 1 else 4000, 1 + seed % 20):
                damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            write_slice(open_slice([path]), tmp_path / "b", NullTask())
        except InvalidInputError:
            outcomes.add("refused")
        else:
            outcomes.add("written")
    assert outcomes == {"refused", "written"}


def test_attributes_of_several_files_are_put_together() -> None:
    one = {"seed": np.int64(1), "config": "{}", "experts": json.dumps({"a-0-9": "1"}), "only": "here"}
    other = {"seed": np.int64(2), "config": "{}", "experts": json.dumps({"a-5-20": "2"})}
    merged = merge_attributes([one, other])
    assert json.loads(merged["experts"]) == {"a-0-9": "1", "a-5-20": "2"}
    assert (merged["config"], json.loads(merged["seed"]), merged["only"]) == ("{}", [1, 2], "here")
    assert json.loads(merge_attributes([{"experts": "[1]"}, {"experts": "no"}])["experts"]) == ["[1]", "no"]


def test_attributes_of_odd_kinds_are_left_behind(tmp_path: Path, rolls) -> None:
    rolls.write(tmp_path / "a.hdf5", ["a-0-9"])
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file.attrs["table"] = np.zeros((3, 3))
        file.attrs["link"] = file["a-0-9"].ref
        file.attrs["text"] = "kept"
    assert read_attributes(tmp_path / "a.hdf5") == {"seed": 3, "text": "kept"}
