from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.datasets.reader import RolloutFile
from mocapact_cli.core.datasets.selection import parse_selection
from mocapact_cli.core.datasets.slicing import SliceConfig, open_slice
from mocapact_cli.core.datasets.writer import RolloutWriter
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError

A, B = ["a-0-9", "a-5-20"], ["b-0-9"]


@pytest.fixture
def dataset(tmp_path: Path, rolls):
    """Two files and what was written to them."""
    folder = tmp_path / "dataset"
    return folder, rolls.write(folder / "a.hdf5", A) | rolls.write(folder / "b.hdf5", B)


def test_everything_is_read_in_the_order_of_clips_snippets_and_slots(dataset, rolls) -> None:
    folder, records = dataset
    found = open_slice([folder])
    assert found.snippets == (*A, *B)
    assert (found.episodes, found.steps) == (9, sum(len(record.actions) for record in records.values()))
    assert found.layout == rolls.layout
    keys = []
    for episode in found:
        keys.append((episode.snippet, episode.slot))
        expected = records[keys[-1]]
        for field in dataclasses.fields(expected):
            ours, theirs = getattr(episode.record, field.name), getattr(expected, field.name)
            np.testing.assert_array_equal(
                ours, np.asarray(theirs, np.asarray(ours).dtype) if field.name != "cameras" else {}
            )
        assert episode.from_start == (episode.slot < 2)
    assert keys == list(records)


def test_snippets_observables_and_episodes_are_chosen(dataset) -> None:
    folder, records = dataset
    config = SliceConfig(parse_selection("a-5-20,b"), ("world_zaxis", "walker/body_height"), 1, 5)
    found = open_slice([folder], config)
    assert found.snippets == ("a-5-20", "b-0-9")
    assert dict(found.layout.observables) == {"walker/world_zaxis": 3, "walker/body_height": 1}
    assert (found.layout.n_start_rollouts, found.layout.n_rsi_rollouts) == (1, 1)
    episodes = list(found)
    assert [(episode.snippet, episode.from_start) for episode in episodes[:2]] == [("a-5-20", True), ("a-5-20", False)]
    for episode in episodes:
        source = records[episode.snippet, 2 * episode.slot]
        np.testing.assert_array_equal(episode.record.observations, source.observations[:, [5, 6, 7, 0]])
        np.testing.assert_array_equal(episode.record.actions, source.actions)
        assert episode.record.norm_return == source.norm_return


def test_a_source_that_is_named_twice_counts_once(dataset) -> None:
    folder, _ = dataset
    assert open_slice([folder, folder / "a.hdf5"]).snippets == (*A, *B)


def test_one_snippet_in_two_files_names_both(dataset, tmp_path: Path, rolls) -> None:
    folder, _ = dataset
    rolls.write(tmp_path / "more/a.hdf5", ["a-5-20", "a-30-40"])
    with pytest.raises(UsageError, match=r"a-5-20 is in .*dataset/a\.hdf5 and in .*more/a\.hdf5"):
        open_slice([folder, tmp_path / "more"])
    chosen = open_slice([folder, tmp_path / "more"], SliceConfig(parse_selection("a-0-9,a-30-40")))
    assert chosen.snippets == ("a-0-9", "a-30-40")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"ref_steps": (1, 3)}, "reference steps"),
        ({"n_start_rollouts": 3}, "episodes from the start"),
        ({"n_rsi_rollouts": 2}, "episodes from random steps"),
        ({"observables": {"walker/body_height": 4, "walker/joints_pos": 4}}, "observables"),
        ({"act_size": 6}, "number of actions"),
    ],
)
def test_files_that_disagree_are_both_named(dataset, tmp_path: Path, rolls, change, what: str) -> None:
    folder, _ = dataset
    layout = dataclasses.replace(rolls.layout, **change)
    with RolloutWriter(tmp_path / "other/c.hdf5", layout, ["c-0-9"]) as writer:
        for slot in range(layout.episodes):
            writer.add("c-0-9", slot, rolls.record(4, layout=layout))
    with pytest.raises(InvalidInputError, match=rf"a\.hdf5 and .*c\.hdf5 differ in their {what}"):
        open_slice([folder, tmp_path / "other"])


def test_what_does_not_exist_is_named(dataset, tmp_path: Path) -> None:
    folder, _ = dataset
    with pytest.raises(NotFoundError, match="joint_pos") as caught:
        open_slice([folder], SliceConfig(observables=("joint_pos",)))
    assert "joints_pos" in caught.value.hint
    with pytest.raises(UsageError, match="observable"):
        open_slice([folder], SliceConfig(observables=()))
    with pytest.raises(NotFoundError):
        open_slice([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="No episodes"):
        open_slice([folder], SliceConfig(n_start_rollouts=0, n_rsi_rollouts=0))


def _break(path: Path, change) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def _replace(file: h5py.File, name: str, values) -> None:
    del file[name]
    file[name] = values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.__delitem__("a-5-20/1/rewards"), "rewards"),
        (lambda file: _replace(file, "a-5-20/1/rewards", np.zeros(99, np.float32)), "rewards has shape"),
        (lambda file: _replace(file, "a-5-20/1/actions", np.zeros((2, 7), np.float32)), "has shape"),
        (lambda file: _replace(file, "a-5-20/rsi_metrics/episode_lengths", np.array([99])), "episode_lengths"),
        (lambda file: _replace(file, "a-5-20/rsi_metrics/episode_lengths", np.array([np.nan])), "episode_lengths"),
        (lambda file: _replace(file, "a-5-20/early_termination", np.zeros(9, bool)), "early_termination"),
        (lambda file: _replace(file, "observable_indices/walker/joints_pos", np.arange(5, 9)), "columns outside"),
        (lambda file: file.__delitem__("a-5-20/2"), "episode 2"),
    ],
)
def test_damage_names_the_file_and_the_place(dataset, change, message: str) -> None:
    folder, _ = dataset
    _break(folder / "a.hdf5", change)
    with pytest.raises(InvalidInputError, match=message) as caught:
        list(open_slice([folder]))
    assert "a.hdf5" in caught.value.message


def test_files_without_episodes(dataset, tmp_path: Path) -> None:
    folder, _ = dataset
    _break(folder / "b.hdf5", lambda file: file.__delitem__("b-0-9"))
    with pytest.raises(InvalidInputError, match="no snippets"):
        open_slice([folder])


def test_published_files_are_read_as_they_are(test_data: Path) -> None:
    folder = test_data / "published/dataset"
    found = open_slice([folder])
    assert (found.episodes, found.steps, found.layout.obs_size) == (24, 1080, 2868)
    with RolloutFile(folder / "CMU_902_01.hdf5") as file:
        for ours, theirs in zip(list(found)[-8:], file["CMU_902_01-0-89"], strict=True):
            np.testing.assert_array_equal(ours.record.observations, theirs.observations)
            np.testing.assert_array_equal(ours.record.mean_actions, theirs.mean_actions)


def test_published_cameras_are_read(test_data: Path) -> None:
    found = open_slice([test_data / "published/dataset_cameras"])
    assert found.cameras == ("walker/egocentric_camera", "walker/body_camera")
    assert next(iter(found)).record.cameras["walker/body_camera"].shape == (85, 64, 64, 3)
    with pytest.raises(InvalidInputError, match="differ"):
        open_slice([test_data / "published/dataset_cameras", test_data / "published/dataset/CMU_901_01.hdf5"])
