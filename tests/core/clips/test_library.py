import h5py
import numpy as np
import pytest

from mocapact_cli.core.clips.built_in import DEMOS
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.library import BUILT_IN, open_library
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.paths import data_dir


@pytest.fixture
def files(tmp_path):
    """A given file and one in the data folder that both hold demo_squat."""
    given, kept = tmp_path / "given.h5", data_dir("mocap") / "kept.h5"
    write_clips(given, [demo("demo_squat").slice(0, 20)])
    write_clips(kept, [demo("demo_squat").slice(0, 30), demo("demo_reach").slice(0, 40)])
    return given, kept


def test_the_first_place_that_has_a_clip_wins(files):
    given, kept = files
    library = open_library(given)
    assert library.ids() == ("demo_squat", "demo_reach", "demo_step", "demo_walk")
    assert [library.origin(clip) for clip in library.ids()] == [str(given), str(kept), BUILT_IN, BUILT_IN]
    assert [library.num_steps(clip) for clip in library.ids()] == [21, 41, 201, 191]
    assert [library.get(clip).num_steps for clip in library.ids()] == [21, 41, 201, 191]


def test_without_files_the_demos_are_there():
    assert set(open_library().ids()) == set(DEMOS)


def test_a_clip_or_a_snippet_is_resolved():
    library = open_library()
    assert library.resolve("demo_walk") == Snippet("demo_walk", 0, 190)
    assert library.resolve("demo_walk-10-190") == Snippet("demo_walk", 10, 190)


def test_a_clip_whose_id_looks_like_a_snippet_is_found(tmp_path):
    clip = demo("demo_squat").slice(0, 20)
    write_clips(tmp_path / "a.h5", [type(clip)(**{**vars(clip), "id": "take-1-2"})])
    library = open_library([tmp_path / "a.h5"])
    assert library.resolve("take-1-2") == Snippet("take-1-2", 0, 20)
    assert library.resolve("take-1-2-3-9") == Snippet("take-1-2", 3, 9)


@pytest.mark.parametrize("name", ["demo_wolk", "demo_wolk-0-10"])
def test_an_unknown_clip_names_the_nearest(name):
    with pytest.raises(NotFoundError) as caught:
        open_library().resolve(name)
    assert "demo_walk" in caught.value.hint


@pytest.mark.parametrize("name", ["demo_walk-0-191", "demo_walk-20-10", "demo_walk-5-5"])
def test_a_snippet_outside_its_clip_is_invalid(name):
    with pytest.raises(InvalidInputError):
        open_library().resolve(name)


def test_a_damaged_file_in_the_data_folder_hides_nothing_else(files):
    (data_dir("mocap") / "broken.h5").write_bytes(b"no hdf5")
    library = open_library()
    assert set(DEMOS) <= set(library.ids())
    assert len(library.problems) == 1
    assert "broken.h5" in library.problems[0]


def test_a_damaged_given_file_is_an_error(tmp_path):
    (tmp_path / "broken.h5").write_bytes(b"no hdf5")
    with pytest.raises(InvalidInputError, match=r"broken\.h5"):
        open_library(tmp_path / "broken.h5")


def test_clips_of_another_walker_are_refused(files):
    given, _ = files
    with h5py.File(given, "r+") as file:
        walker = file["demo_squat/walkers/walker_0"]
        del walker["body_positions"]
        walker["body_positions"] = np.zeros((90, 21))
    with pytest.raises(InvalidInputError, match="another walker: it has 30 bodies"):
        open_library(given).get("demo_squat")


def test_it_knows_which_names_can_be_had():
    library = open_library()
    assert [library.has(name) for name in ("demo_walk", "demo_walk-0-9", "demo_walk-0-9999", "demo_wlak", "a-1-")] == [
        *(True, True),
        *(False, False, False),
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [("my clips/07_01.amc", "clips import 'my clips/07_01.amc' -o clips.h5; then it is CMU_007_01 of --mocap clips.h5"),
     ("walk.h5", "clips list --mocap walk.h5")],
)  # fmt: skip
def test_a_file_in_the_place_of_a_clip_leads_on(name, said):
    with pytest.raises(NotFoundError) as caught:
        open_library().resolve(name)
    assert said in caught.value.hint
