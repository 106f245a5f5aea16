from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.datasets.check import check_rollouts
from mocapact_cli.core.errors import InvalidInputError


def _replace(path: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        values = file[path][()]
        del file[path]
        file[path] = change(values)

    return damage


def _delete(path: str) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        del file[path]

    return damage


def _poison(values: np.ndarray) -> np.ndarray:
    values.flat[0] = np.nan
    return values


DAMAGES = {
    "walk-0-9/1/actions": (_replace("walk-0-9/1/actions", lambda values: values[:-1]), "actions has shape"),
    "walk-0-9/1/rewards": (_replace("walk-0-9/1/rewards", lambda values: values.astype(np.float64)), "type float64"),
    "walk-0-9/2": (_delete("walk-0-9/2"), "episode 2"),
    "walk-0-9/0/values": (_delete("walk-0-9/0/values"), "values is missing"),
    "nan": (_replace("walk-0-9/0/observations/proprioceptive", _poison), "not finite"),
    "early_termination": (_replace("walk-0-9/early_termination", lambda values: values[:-1]), "early_termination"),
    "stats/act_mean": (_delete("stats/act_mean"), "stats/act_mean is missing"),
    "columns": (_replace("observable_indices/walker/joints_pos", lambda values: values + 1), "column 1"),
    "outside": (_replace("observable_indices/walker/joints_pos", lambda values: values + 90), "outside"),
    "count": (_replace("n_start_rollouts", lambda values: values + 1), "shape"),
    "no snippets": (_delete("walk-0-9"), "no snippets"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_first_thing_that_is_wrong_is_named(rolls, tmp_path: Path, name: str) -> None:
    path = tmp_path / "walk.hdf5"
    rolls.write(path, ["walk-0-9"])
    check_rollouts(path)
    damage, message = DAMAGES[name]
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(InvalidInputError, match=message) as refused:
        check_rollouts(path)
    assert "walk.hdf5" in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    "name", ["dataset/CMU_901_01.hdf5", "dataset/CMU_902_01.hdf5", "dataset_cameras/CMU_902_01.hdf5"]
)
def test_published_files_follow_the_layout(test_data: Path, name: str) -> None:
    check_rollouts(test_data / "published" / name)
