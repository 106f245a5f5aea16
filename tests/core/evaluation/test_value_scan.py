from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.datasets.reader import read_rollouts, rollout_paths
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.evaluation import column_ranges
from mocapact_cli.core.evaluation.value_scan import scan_values

LAYOUT = RolloutLayout({"walker/body_height": 1, "walker/joints_pos": 4}, (1,), 1, 1, act_size=3)


def record(steps: int, seed: int) -> EpisodeRecord:
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in ((steps + 1, 5), (steps, 3), (steps, 3))]
    flat = [rng.random(steps).astype(np.float32) for _ in range(3)]
    return EpisodeRecord(*arrays, *flat, False, 1.0, 0.5, 0.5)


def write(path: Path, records: list[EpisodeRecord], layout: RolloutLayout = LAYOUT) -> Path:
    with RolloutWriter(path, layout, [f"{path.stem}-0-30"]) as writer:
        for slot, each in enumerate(records):
            writer.add(f"{path.stem}-0-30", slot, each)
    return path


def test_ranges_are_those_of_all_values(tmp_path: Path) -> None:
    records = [record(6, 0), record(9, 1)]
    found = scan_values([write(tmp_path / "a.hdf5", records)])
    joints = np.concatenate([each.observations[:, 1:] for each in records])
    expected = np.percentile(joints, found["percentiles"])
    (height, row) = found["observables"]
    assert (height["observable"], row["observable"], row["columns"]) == ("walker/body_height", "walker/joints_pos", 4)
    np.testing.assert_allclose(row["range"], expected, rtol=1e-5)
    actions = np.concatenate([each.actions for each in records])
    assert found["actions"]["at_limit_rate"] == pytest.approx((np.abs(actions) >= 1).mean())
    np.testing.assert_allclose(found["actions"]["columns"][2][-1], actions[:, 2].max())
    assert (found["steps"], found["episodes"], found["not_finite"]) == (15, 2, 0)
    json.dumps(found, allow_nan=False)


def test_values_that_are_not_finite_are_counted_and_located(tmp_path: Path) -> None:
    good, bad = record(6, 0), record(9, 1)
    bad.observations[3, 2:4] = np.nan
    bad.observations[5, 0] = np.inf
    bad.rewards[8] = -np.inf
    found = scan_values([write(tmp_path / "a.hdf5", [good, bad])])
    assert found["not_finite"] == 4
    assert found["not_finite_places"] == [
        {"snippet": "a-0-30", "episode": 1, "array": "observations", "count": 3, "row": 3, "column": 2,
         "observable": "walker/joints_pos"},
        {"snippet": "a-0-30", "episode": 1, "array": "rewards", "count": 1, "row": 8, "column": 0},
    ]  # fmt: skip
    assert [row["not_finite"] for row in found["observables"]] == [1, 2]
    json.dumps(found, allow_nan=False)


def test_constant_columns_and_columns_of_nothing_finite(tmp_path: Path) -> None:
    one, two = record(6, 0), record(6, 1)
    for each in (one, two):
        each.observations[:, 0] = np.nan
        each.observations[:, 2] = 0.25
    height, joints = scan_values([write(tmp_path / "a.hdf5", [one, two])])["observables"]
    assert height["range"] is None
    assert joints["constant_columns"] == [1]


def test_memory_is_bounded_by_a_sample_that_stays_even(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_ranges, "SAMPLED_ROWS", 50)
    sample = column_ranges.RowSample()
    for start in range(0, 1000, 7):
        sample.add(np.arange(start, min(start + 7, 1000), dtype=np.float32)[:, None])
    kept = np.concatenate(sample.rows)
    assert len(kept) <= 50
    assert len(set(np.diff(kept))) == 1
    assert kept[0] == 0
    assert kept[-1] > 900


def test_files_of_other_layouts_are_named(tmp_path: Path) -> None:
    other = replace(LAYOUT, observables={"walker/body_height": 2, "walker/joints_pos": 3})
    write(tmp_path / "a.hdf5", [record(6, 0), record(6, 1)])
    write(tmp_path / "b.hdf5", [record(6, 0), record(6, 1)], other)
    with pytest.raises(InvalidInputError, match=r"b\.hdf5.*other observables"):
        scan_values(rollout_paths(tmp_path))


def test_the_recorded_actions_are_within_their_range(recorded: Path) -> None:
    found = scan_values(rollout_paths(recorded))
    with read_rollouts(recorded) as rollouts:
        assert found["steps"] == sum(episode.length for episode in rollouts)
    assert found["not_finite"] == 0
    by_name = {row["observable"]: row["range"] for row in found["observables"]}
    assert by_name["walker/time_in_clip"][0] >= 0.0
    assert 0.5 < by_name["walker/body_height"][3] < 1.5
