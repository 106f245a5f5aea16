"""The study of storage measures every layout on data that it records itself."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("study_storage.py")
STUDY = runpy.run_path(str(SCRIPT))


@pytest.mark.slow
def test_it_prints_a_line_of_numbers_for_every_layout():
    options = ("--episodes", "2", "--images", "1", "--seconds", "0.01", "--rounds", "1")
    done = subprocess.run([sys.executable, SCRIPT, *options], check=True, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if re.match(r"\| [\w ,]+ \| [\d.]+ \|( [\d,]+ \|){4}$", line)]
    tables = [STUDY["ROLLOUTS"], *([] if "No images" in done.stdout else [STUDY["IMAGES"]])]
    assert [line.split(" | ")[0][2:] for line in lines] == [layout.name for layouts in tables for layout in layouts]


@pytest.mark.parametrize("layout", [*STUDY["ROLLOUTS"], *STUDY["IMAGES"]], ids=lambda layout: layout.name)
def test_every_layout_gives_the_same_data_back(layout, tmp_path):
    rng = np.random.default_rng(0)
    episode = {"observations/proprioceptive": rng.random((40, 5)), "images": rng.integers(0, 9, (40, 4, 4, 3), "u1")}
    STUDY["write"](tmp_path / "a.hdf5", layout, [episode])
    with h5py.File(tmp_path / "a.hdf5") as file:
        for name, array in episode.items():
            stored = file[f"0/{name}"]
            np.testing.assert_array_equal(stored[()], array)
            assert (stored.chunks or (0,))[0] == layout.rows
