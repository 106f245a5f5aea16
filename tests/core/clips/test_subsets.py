import subprocess
import sys

import pytest

from mocapact_cli.core.clips.subsets import SPLITS, SUBSETS, clip_ids, split_ids, subsets_of
from mocapact_cli.core.errors import NotFoundError


def test_subsets_are_dm_controls():
    from dm_control.locomotion.tasks.reference_pose import cmu_subsets

    assert len(SUBSETS) == len(cmu_subsets.CMU_SUBSETS_DICT)
    for name in SUBSETS:
        theirs = getattr(cmu_subsets, name.upper())
        assert clip_ids(name) == tuple(theirs.ids)
        assert set(theirs.weights) == {1.0}
        assert set(theirs.start_steps) == {0}
        assert theirs.end_steps is None


def test_an_unknown_subset_names_the_nearest():
    with pytest.raises(NotFoundError) as caught:
        clip_ids("walk_tin")
    assert "walk_tiny" in caught.value.hint


def test_a_clip_knows_its_subsets():
    assert subsets_of("CMU_016_22") == ("walk_tiny", "run_jump_tiny", "all")
    assert subsets_of("demo_walk") == ()


def test_the_split_is_the_papers(test_data):
    for split, file in zip(SPLITS, ("train_clips.txt", "val_clips.txt"), strict=True):
        assert sorted(split_ids(split)) == sorted((test_data / "mocap" / file).read_text().split())


def test_the_split_divides_all_clips():
    train, validation = map(split_ids, SPLITS)
    assert (len(train), len(validation)) == (773, 63)
    assert sorted(train + validation) == sorted(clip_ids("all"))
    with pytest.raises(NotFoundError, match="test"):
        split_ids("test")


def test_no_heavy_import_is_needed():
    code = (
        "import mocapact_cli.core.clips.subsets, sys; sys.exit('dm_control' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
