"""Which episodes a dataset takes."""

import h5py
import numpy as np
import pytest

from mocapact_cli.core.datasets.scan import scan_dataset
from mocapact_cli.core.datasets.writer import RolloutLayout
from mocapact_cli.core.errors import InvalidInputError, NotFoundError

# By name the second one comes first, by start step it is the last.
SNIPPETS = ["CMU_001_01-0-50", "CMU_001_01-30-80", "CMU_001_01-100-150"]


@pytest.fixture
def files(tmp_path, rolls):
    rolls.write(tmp_path / "CMU_001_01.hdf5", SNIPPETS)
    rolls.write(tmp_path / "CMU_002_01.hdf5", ["CMU_002_01-0-40"])
    return [tmp_path / "CMU_001_01.hdf5", tmp_path / "CMU_002_01.hdf5"]


def groups(scan):
    return [(episode.file, episode.group) for episode in scan.episodes]


def test_all_episodes_in_the_order_of_names(files):
    scan = scan_dataset(files)
    names = ["CMU_001_01-0-50", "CMU_001_01-100-150", "CMU_001_01-30-80"]
    assert scan.snippets == (tuple(names), ("CMU_002_01-0-40",))
    expected = [(0, f"{name}/{slot}") for name in names for slot in range(3)]
    assert groups(scan) == expected + [(1, f"CMU_002_01-0-40/{slot}") for slot in range(3)]


def test_lengths_and_failures_are_those_of_the_file(files):
    scan = scan_dataset(files)
    with h5py.File(files[0]) as file:
        for episode in (episode for episode in scan.episodes if episode.file == 0):
            assert episode.length == len(file[episode.group]["actions"])
            assert episode.early_termination == file[episode.snippet]["early_termination"][episode.slot]
    assert scan.act_size == 5
    assert scan.ref_steps.tolist() == [1, 2]
    assert scan.observable_indices["walker/joints_pos"].tolist() == [1, 2, 3, 4]


def test_limits_take_the_first_of_each_kind(files):
    slots = [episode.slot for episode in scan_dataset(files, n_start_rollouts=1, n_rsi_rollouts=5).episodes]
    assert slots == [0, 2] * 4
    assert [episode.slot for episode in scan_dataset(files, n_start_rollouts=0).episodes] == [2] * 4


def test_snippets_and_clips_by_name_in_the_given_order(files):
    taken = scan_dataset(files, clip_ids=["CMU_001_01-30-80", "CMU_002_01", "CMU_001_01-0-50", "CMU_009_09"])
    assert taken.snippets == (("CMU_001_01-30-80", "CMU_001_01-0-50"), ("CMU_002_01-0-40",))


def test_a_clip_whose_name_has_dashes_is_found(tmp_path, rolls):
    rolls.write(tmp_path / "my-walk.hdf5", ["my-walk-0-40"])
    assert scan_dataset([tmp_path / "my-walk.hdf5"], clip_ids=["my-walk"]).snippets == (("my-walk-0-40",),)


def test_nothing_left_is_an_error_with_a_suggestion(files):
    with pytest.raises(NotFoundError, match="no episode of CMU_002_02") as raised:
        scan_dataset(files, clip_ids=["CMU_002_02"])
    assert "CMU_002_01" in raised.value.hint
    with pytest.raises(NotFoundError, match="not one episode"):
        scan_dataset(files, n_start_rollouts=0, n_rsi_rollouts=0)
    with pytest.raises(NotFoundError, match="at least one rollout file"):
        scan_dataset([])


@pytest.mark.parametrize(
    ("layout", "what"),
    [
        (RolloutLayout({"walker/joints_pos": 4, "walker/world_zaxis": 3}, (1, 2), 2, 1, 5), "observables"),
        (
            RolloutLayout({"walker/joints_pos": 4, "walker/body_height": 1, "walker/world_zaxis": 3}, (1, 2), 2, 1, 5),
            "observables",
        ),
        (
            RolloutLayout({"walker/body_height": 1, "walker/joints_pos": 4, "walker/world_zaxis": 3}, (1, 3), 2, 1, 5),
            "ref_steps",
        ),
    ],
)
def test_files_that_were_not_recorded_alike_are_named(tmp_path, rolls, files, layout, what):
    rolls.layout = layout
    rolls.write(tmp_path / "CMU_003_01.hdf5", ["CMU_003_01-0-40"])
    with pytest.raises(InvalidInputError, match=f"CMU_001_01.*CMU_003_01.*{what}"):
        scan_dataset([*files, tmp_path / "CMU_003_01.hdf5"])


def test_metrics_that_disagree_are_named(files):
    with h5py.File(files[0], "r+") as file:
        del file["CMU_001_01-0-50/early_termination"]
        file["CMU_001_01-0-50/early_termination"] = np.zeros(2, dtype=bool)
    with pytest.raises(InvalidInputError, match=r"CMU_001_01\.hdf5.*early_termination"):
        scan_dataset(files)
