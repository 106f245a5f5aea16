from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.datasets import schema
from mocapact_cli.core.datasets.writer import COUNTS_NOTE, RolloutWriter
from mocapact_cli.core.errors import RunError, UsageError

SNIPPETS = ["walk-0-9", "walk-5-20"]


def test_what_is_written_is_there_in_the_published_types(rolls, tmp_path: Path) -> None:
    records = rolls.write(tmp_path / "walk.hdf5", SNIPPETS)
    with h5py.File(tmp_path / "walk.hdf5") as file:
        for (snippet, slot), record in records.items():
            episode = file[f"{snippet}/{slot}"]
            for spec in schema.EPISODE_ARRAYS:
                if spec.required:
                    assert episode[spec.path].dtype == np.float32
                    assert episode[spec.path].chunks is None
            np.testing.assert_array_equal(episode["actions"][()], record.actions)
            np.testing.assert_array_equal(episode[schema.PROPRIOCEPTIVE][()], record.observations)
            np.testing.assert_array_equal(episode["rewards"][()], record.rewards.astype(np.float32))
        assert file["walk-0-9/start_metrics/episode_lengths"].dtype == np.int64
        assert file["walk-0-9/rsi_metrics/norm_episode_returns"].dtype == np.float64
        assert file["walk-0-9/early_termination"].dtype == np.bool_
        assert file["observable_indices/walker/joints_pos"][()].tolist() == [1, 2, 3, 4]
        assert file["ref_steps"][()].tolist() == [1, 2]


def test_metrics_are_split_into_starts_and_rsi(rolls, tmp_path: Path) -> None:
    records = rolls.write(tmp_path / "walk.hdf5", SNIPPETS)
    with h5py.File(tmp_path / "walk.hdf5") as file:
        starts, rsi = (file[f"walk-0-9/{group}/episode_returns"][()] for group in schema.METRIC_GROUPS)
        expected = [records["walk-0-9", slot].episode_return for slot in range(3)]
        assert [*starts, *rsi] == expected
        assert len(starts) == 2


def test_episodes_that_end_in_another_order_give_the_same_file(rolls, tmp_path: Path) -> None:
    for name, reverse in (("one", False), ("two", True)):
        rolls.write(tmp_path / f"{name}.hdf5", SNIPPETS, reverse=reverse)

    def content(path: Path) -> dict[str, object]:
        found = {}

        def visit(name: str, item: h5py.HLObject) -> None:
            if isinstance(item, h5py.Dataset):
                found[name] = item[()].tolist()

        with h5py.File(path) as file:
            file.visititems(visit)
        return found

    assert content(tmp_path / "one.hdf5") == content(tmp_path / "two.hdf5")


def test_statistics_count_actions_and_observations_apart_and_say_so(rolls, tmp_path: Path) -> None:
    records = rolls.write(tmp_path / "walk.hdf5", SNIPPETS)
    actions = np.concatenate([record.actions for record in records.values()]).astype(np.float64)
    observations = np.concatenate([record.observations for record in records.values()]).astype(np.float64)
    with h5py.File(tmp_path / "walk.hdf5") as file:
        stats = file["stats"]
        np.testing.assert_allclose(stats["act_mean"][()], actions.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(stats["act_var"][()], actions.var(axis=0), rtol=1e-5)
        np.testing.assert_allclose(stats["proprio_var"][()], observations.var(axis=0), rtol=1e-5)
        assert (stats["count"][()], stats["act_count"][()]) == (len(observations), len(actions))
        assert file.attrs["statistics"] == COUNTS_NOTE


def test_a_failure_leaves_neither_the_file_nor_a_temporary_one(rolls, tmp_path: Path) -> None:
    (tmp_path / "walk.hdf5").write_bytes(b"precious")
    with (
        pytest.raises(KeyboardInterrupt),
        RolloutWriter(tmp_path / "walk.hdf5", rolls.layout, SNIPPETS) as writer,
    ):
        writer.add("walk-0-9", 0, rolls.record(4))
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["walk.hdf5"]
    assert (tmp_path / "walk.hdf5").read_bytes() == b"precious"


def test_a_file_with_missing_episodes_is_never_finished(rolls, tmp_path: Path) -> None:
    with (
        pytest.raises(RunError, match="walk-5-20"),
        RolloutWriter(tmp_path / "walk.hdf5", rolls.layout, SNIPPETS) as writer,
    ):
        for slot in range(3):
            writer.add("walk-0-9", slot, rolls.record(4))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("snippet", "slot"), [("walk-0-9", 0), ("walk-0-9", 3), ("run-0-9", 0)])
def test_an_episode_has_one_place(rolls, tmp_path: Path, snippet: str, slot: int) -> None:
    with (
        pytest.raises(UsageError, match="no free episode"),
        RolloutWriter(tmp_path / "walk.hdf5", rolls.layout, SNIPPETS) as writer,
    ):
        writer.add("walk-0-9", 0, rolls.record(4))
        writer.add(snippet, slot, rolls.record(4))


def test_wrong_shapes_are_refused(rolls, tmp_path: Path) -> None:
    record = rolls.record(4)
    broken = dataclasses.replace(record, observations=record.observations[:-1])
    with (
        pytest.raises(UsageError, match="proprioceptive has shape"),
        RolloutWriter(tmp_path / "walk.hdf5", rolls.layout, SNIPPETS) as writer,
    ):
        writer.add("walk-0-9", 0, broken)


def test_memory_does_not_grow_with_the_number_of_episodes(rolls, tmp_path: Path) -> None:
    import tracemalloc

    layout = dataclasses.replace(rolls.layout, n_rsi_rollouts=58, observables={"walker/joints_pos": 2000})
    record = rolls.record(50, layout=layout)
    with RolloutWriter(tmp_path / "walk.hdf5", layout, ["walk-0-99"]) as writer:
        peaks = []
        tracemalloc.start()
        for slot in range(layout.episodes):
            writer.add("walk-0-99", slot, record)
            peaks.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert peaks[-1] - peaks[5] < record.observations.nbytes
