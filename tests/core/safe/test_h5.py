from __future__ import annotations

from pathlib import Path

from mocapact_cli.core.safe import h5


def test_hdf5_files_of_a_folder_are_those_by_name_that_are_not_hidden(tmp_path: Path) -> None:
    for name in ("b.h5", "a.hdf5", ".hidden.h5", "c.npz", "d.h5.part"):
        (tmp_path / name).touch()
    assert [path.name for path in h5.files_in(tmp_path)] == ["a.hdf5", "b.h5"]
