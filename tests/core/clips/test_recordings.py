from pathlib import Path

import pytest

from mocapact_cli.core.clips.recordings import clip_id_of, find_skeleton, recordings
from mocapact_cli.core.errors import NotFoundError


@pytest.mark.parametrize(
    ("name", "clip_id"),
    [
        ("07_01.amc", "CMU_007_01"),
        ("141_2.amc", "CMU_141_02"),
        ("zombie.amc", "zombie"),
        ("charleston1.amc", "charleston1"),
        ("07_01_b.amc", "07_01_b"),
    ],
)
def test_clip_ids_come_from_names(name, clip_id):
    assert clip_id_of(Path("any") / name) == clip_id


@pytest.mark.parametrize(
    ("recording", "skeleton"),
    [
        ("07_01.amc", "07.asf"),
        ("7_1.amc", "07.asf"),
        ("08_01.amc", None),
        ("charleston12.amc", "charleston.asf"),
        ("dance_3.amc", "dance.asf"),
        ("exact1.amc", "exact1.asf"),
        ("other.amc", None),
    ],
)
def test_the_skeleton_is_found_beside_the_recording(tmp_path, recording, skeleton):
    for name in ("07.asf", "charleston.asf", "dance.asf", "exact1.asf", "exact.asf"):
        (tmp_path / name).touch()
    found = find_skeleton(tmp_path / recording)
    assert (found and found.name) == skeleton


def test_folders_are_expanded(tmp_path, recording):
    (tmp_path / "07_02.AMC").write_text(recording.read_text())
    assert [path.name for path in recordings([tmp_path])] == ["07_01.amc", "07_02.AMC"]
    assert recordings([recording]) == [recording]
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match=r"no \.amc files"):
        recordings([tmp_path / "empty"])
    with pytest.raises(NotFoundError):
        recordings([tmp_path / "none.amc"])
