from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.datasets.reader import RolloutFile, check_columns, read_rollouts
from mocapact_cli.core.errors import InvalidInputError, NotFoundError

SNIPPETS = ["walk-0-9", "walk-5-20"]


@pytest.fixture
def folder(rolls, tmp_path: Path) -> Path:
    rolls.write(tmp_path / "walk.hdf5", SNIPPETS)
    rolls.write(tmp_path / "run.hdf5", ["run-0-30"])
    return tmp_path


def test_a_folder_is_read_by_snippet_and_episode(rolls, folder: Path) -> None:
    record = rolls.records(SNIPPETS)["walk-5-20", 1]
    with read_rollouts(folder) as rollouts:
        assert rollouts.snippets == ("run-0-30", *SNIPPETS)
        episode = rollouts["walk-5-20"][1]
        assert (episode.length, episode.from_start, episode.early_termination) == (7, True, False)
        for name in ("observations", "actions", "mean_actions", "values"):
            np.testing.assert_array_equal(getattr(episode, name), getattr(record, name))
        np.testing.assert_array_equal(episode.observable("walker/joints_pos"), record.observations[:, 1:5])
        assert len(list(rollouts)) == 9
        assert rollouts["walk-5-20"][-1].index == 2


def test_scattered_columns_are_read_too(rolls, folder: Path) -> None:
    with h5py.File(folder / "run.hdf5", "r+") as file:
        file["observable_indices/walker/world_zaxis"][...] = [7, 0, 3]
    record = rolls.records(["run-0-30"])["run-0-30", 0]
    with RolloutFile(folder / "run.hdf5") as file:
        np.testing.assert_array_equal(
            file["run-0-30"][0].observable("walker/world_zaxis"), record.observations[:, [7, 0, 3]]
        )


def test_unknown_names_are_answered_with_the_nearest(folder: Path) -> None:
    with read_rollouts(folder) as rollouts:
        with pytest.raises(NotFoundError) as unknown_snippet:
            rollouts["walk-0-8"]
        assert "walk-0-9" in unknown_snippet.value.hint
        with pytest.raises(NotFoundError) as unknown_observable:
            rollouts["walk-0-9"][0].observable("walker/joint_pos")
        assert "walker/joints_pos" in unknown_observable.value.hint
        with pytest.raises(IndexError):
            rollouts["walk-0-9"][3]


def test_statistics_of_files_merge_to_those_of_the_dataset(rolls, folder: Path) -> None:
    records = [*rolls.records(SNIPPETS).values(), *rolls.records(["run-0-30"]).values()]
    actions = np.concatenate([record.actions for record in records]).astype(np.float64)
    with read_rollouts(folder) as rollouts:
        statistics = rollouts.statistics()
    assert statistics.act.count == len(actions)
    np.testing.assert_allclose(statistics.act.mean, actions.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(statistics.act.var, actions.var(axis=0), rtol=1e-5)


def test_published_statistics_are_corrected_or_kept_as_they_stand(test_data: Path) -> None:
    with read_rollouts(test_data / "published/dataset/CMU_901_01.hdf5") as rollouts:
        actions = np.concatenate([episode.actions for episode in rollouts]).astype(np.float64)
        corrected, raw = rollouts.statistics().act, rollouts.statistics(as_published=True).act
    np.testing.assert_allclose(corrected.mean, actions.mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(corrected.var, actions.var(axis=0), atol=1e-7)
    np.testing.assert_allclose(raw.mean, actions.sum(axis=0) / 535, atol=1e-7)


def test_published_files_are_read(test_data: Path) -> None:
    with read_rollouts(test_data / "published/dataset") as rollouts:
        episode = rollouts["CMU_901_01-60-139"][4]
        assert not episode.from_start
        assert episode.observations.shape == (episode.length + 1, 2868)
        assert episode.observable("walker/joints_pos").shape == (episode.length + 1, 56)
        assert rollouts["CMU_902_01-0-89"].norm_lengths == pytest.approx(1.0)
    with read_rollouts(test_data / "published/dataset_cameras") as rollouts:
        assert rollouts["CMU_902_01-0-89"][0].camera("walker/egocentric_camera").shape == (85, 64, 64, 3)


@pytest.mark.parametrize("content", [b"", b"not hdf5 at all", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_not_hdf5_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.hdf5").write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"bad\.hdf5"):
        RolloutFile(tmp_path / "bad.hdf5")


def test_a_file_cut_short_is_refused(folder: Path) -> None:
    content = (folder / "walk.hdf5").read_bytes()
    for share in (0.1, 0.5, 0.99):
        (folder / "cut.hdf5").write_bytes(content[: int(len(content) * share)])
        with pytest.raises(InvalidInputError, match=r"cut\.hdf5"):
            RolloutFile(folder / "cut.hdf5")


def test_links_out_of_the_file_are_refused(folder: Path) -> None:
    with h5py.File(folder / "walk.hdf5", "r+") as file:
        del file["ref_steps"]
        file["ref_steps"] = h5py.ExternalLink(str(folder / "run.hdf5"), "/ref_steps")
    with pytest.raises(InvalidInputError, match="link to elsewhere"):
        RolloutFile(folder / "walk.hdf5")


def test_missing_paths_say_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        read_rollouts(tmp_path / "nothing")
    with pytest.raises(NotFoundError, match="no rollout files"):
        read_rollouts(tmp_path)


def test_columns_lie_inside_observations() -> None:
    columns = {"walker/joints_pos": np.array([3, 4]), "walker/egocentric": np.array([], np.int64)}
    check_columns(columns, 5)
    for outside in (np.array([3, 5]), np.array([-1])):
        with pytest.raises(InvalidInputError, match="joints_pos has columns outside the 5"):
            check_columns(columns | {"walker/joints_pos": outside}, 5)
