from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.evaluation.clip_scan import scan_clips
from mocapact_cli.core.evaluation.inspect_tables import fact_notes


@pytest.fixture
def mocap(tmp_path: Path) -> Path:
    write_clips(tmp_path / "demo.h5", [demo("demo_reach"), demo("demo_squat")])
    return tmp_path / "demo.h5"


def test_ranges_are_those_of_all_clips(mocap: Path) -> None:
    found = scan_clips([mocap])
    joints = np.concatenate([demo(name).joints for name in ("demo_reach", "demo_squat")])
    (row,) = (row for row in found["observables"] if row["observable"] == "joints")
    np.testing.assert_allclose(row["range"], np.percentile(joints, found["percentiles"]), atol=1e-6)
    assert (found["episodes"], found["steps"], row["columns"]) == (2, len(joints), 56)


def test_values_that_are_not_finite_are_located(mocap: Path) -> None:
    with h5py.File(mocap, "r+") as file:
        file["demo_squat/walkers/walker_0/joints"][7, 3:5] = np.nan
    found = scan_clips([mocap])
    assert found["not_finite"] == 2
    place = {"snippet": "demo_squat", "array": "joints", "count": 2, "row": 3, "column": 7}
    assert found["not_finite_places"] == [place]
    notes = fact_notes({"kind": "mocap", "values": found})
    assert notes[1] == "demo_squat, joints: 2 not finite, first at row 3, column 7."


def test_clips_that_disagree_are_refused(mocap: Path) -> None:
    other = mocap.with_name("other.h5")
    shutil.copy(mocap, other)
    with h5py.File(other, "r+") as file:
        walker = file["demo_squat/walkers/walker_0"]
        values = walker["joints"][:5]
        del walker["joints"]
        walker["joints"] = values
    with pytest.raises(InvalidInputError, match=r"other\.h5.*joints of demo_squat"):
        scan_clips([mocap, other])
