import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.datasets.selection import parse_selection
from mocapact_cli.core.errors import NotFoundError, UsageError
from mocapact_cli.core.remote.catalog import EXPERT_FILES, KINDS, TYPES, Choice, kind_of, known_units


def choice(kind: str, clips: str | None = None) -> Choice:
    return Choice.of(KINDS[kind], parse_selection(clips))


@pytest.mark.parametrize(
    ("kind", "name", "place"),
    [
        ("experts", "experts/CMU_016_22-0-82/clip_info.json", "CMU_016_22-0-82/clip_info.json"),
        ("experts", "all/CMU_016_22/CMU_016_22-0-82/0/eval_rsi/model/best_model.zip",
         "CMU_016_22-0-82/0/eval_rsi/model/best_model.zip"),
        ("experts", "./CMU_016_22-0-82/", "CMU_016_22-0-82"),
        ("experts", "experts/README.md", None),
        ("experts", "experts/CMU_016_22-0-82/.DS_Store", None),
        ("experts", "experts/._CMU_016_22-0-82/clip_info.json", None),
        ("small_dataset", "dataset/small/CMU_016_22.hdf5", "CMU_016_22.hdf5"),
        ("small_dataset", "CMU_016_22.hdf5", "CMU_016_22.hdf5"),
        ("large_dataset", "x/dataset_metrics.npz", "dataset_metrics.npz"),
        ("large_dataset", "x/notes.txt", None),
        ("multiclip_policy", "multiclip_policy/full_dataset/model/model.ckpt", "full_dataset/model/model.ckpt"),
        ("multiclip_policy", "full_dataset/model/model.ckpt", "full_dataset/model/model.ckpt"),
        ("transfer", "transfer/", None),
        ("gpt", "gpt.ckpt", "gpt.ckpt"),
    ],
)  # fmt: skip
def test_a_file_belongs_where_its_clip_or_snippet_says(kind, name, place):
    assert KINDS[kind].place(name) == place


@given(st.sampled_from(list(KINDS)), st.text(max_size=60))
def test_any_name_has_a_place_or_none(kind, name):
    place = KINDS[kind].place(name)
    assert place is None or not any(part.startswith(".") for part in place.split("/"))


def test_types_are_known_and_the_nearest_is_named():
    assert [kind_of(name).name for name in TYPES] == list(TYPES)
    with pytest.raises(UsageError) as caught:
        kind_of("small-dataset")
    assert "small_dataset" in caught.value.hint


def test_a_clip_stands_for_all_its_experts():
    wanted = choice("experts", "CMU_009_12").wanted()
    assert wanted.items == dict.fromkeys(["CMU_009_12-0-198", "CMU_009_12-165-363", "CMU_009_12-330-529"], EXPERT_FILES)
    assert wanted.target("experts/CMU_009_12-0-198/clip_info.json") == "CMU_009_12-0-198/clip_info.json"
    assert wanted.target("experts/CMU_016_22-0-82/clip_info.json") is None


def test_a_snippet_stands_for_its_clips_rollouts():
    wanted = choice("small_dataset", "CMU_009_12-0-198,CMU_016_22").wanted()
    assert wanted.items == {"CMU_009_12.hdf5": (), "CMU_016_22.hdf5": ()}


def test_everything_is_read_to_the_end_as_is_what_is_not_published():
    assert choice("experts").wanted().items is None
    unpublished = choice("experts", "CMU_901_01").wanted()
    assert unpublished.items is None
    assert unpublished.target("experts/CMU_901_01-0-82/clip_info.json")
    assert unpublished.target("experts/CMU_902_01-0-89/clip_info.json") is None


def test_a_subset_names_its_clips():
    assert len(choice("small_dataset", "walk_tiny").wanted().items) == 36
    assert len(choice("experts", "all").wanted().items) == known_units(KINDS["experts"]) == 2589


def test_what_is_one_whole_cannot_be_chosen_from():
    with pytest.raises(UsageError, match="gpt is not divided"):
        choice("gpt", "CMU_016_22")


def test_what_is_absent_is_an_error_where_it_was_named():
    some = choice("experts", "CMU_016_22,CMU_009_12-0-198")
    absent = some.absent(["CMU_016_22-0-82/clip_info.json"])
    assert absent == ["CMU_009_12-0-198"]
    with pytest.raises(NotFoundError, match=r"here has no experts of CMU_009_12-0-198\."):
        some.check_there(absent, "here")
    subset = choice("experts", "walk_tiny")
    subset.check_there(subset.absent(["CMU_016_22-0-82/clip_info.json"]), "here")
    with pytest.raises(NotFoundError, match="and 33 more"):
        subset.check_there(subset.absent([]), "here")


def test_what_nothing_is_called_names_the_nearest():
    some = choice("small_dataset", "CMU_016_222")
    with pytest.raises(NotFoundError, match="MoCapAct has no clip or snippet CMU_016_222") as caught:
        some.check_there(some.absent([]), "here")
    assert "CMU_016_22" in caught.value.hint
