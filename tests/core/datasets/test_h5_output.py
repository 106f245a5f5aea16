from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.datasets.h5_output import create_h5


def test_what_is_written_is_read(tmp_path: Path) -> None:
    with create_h5(tmp_path / "a.hdf5", track_order=True) as output:
        for name in "zay":
            with output.writing() as file:
                file[f"{name}/numbers"] = np.arange(5)
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert list(file) == ["z", "a", "y"]
        assert file["a/numbers"][()].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("arrays", [1, 40])
def test_a_full_disk_names_the_file_and_does_not_crash(small_disk, arrays: int) -> None:
    path = small_disk(256) / "a.hdf5"
    with pytest.raises(OSError, match="space") as caught, create_h5(path) as output:
        for number in range(arrays):
            with output.writing() as file:
                file[str(number)] = np.zeros(400_000 // arrays, np.uint8)
    assert caught.value.filename == str(path)


def test_an_error_inside_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), create_h5(tmp_path / "a.hdf5") as output, output.writing() as file:
        file["numbers"] = np.arange(5)
        raise ZeroDivisionError
