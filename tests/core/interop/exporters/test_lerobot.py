from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mocapact_cli.core.interop.exporters.export import ExportConfig, export_rollouts
from mocapact_cli.core.interop.exporters.lerobot import task_text
from mocapact_cli.core.interop.exporters.parquet import RollingParquet, frames_schema, frames_table


@pytest.fixture
def exported(dataset: Path, tmp_path: Path) -> Path:
    export_rollouts([dataset], tmp_path / "out", ExportConfig("lerobot"))
    return tmp_path / "out"


def _info(folder: Path):
    return json.loads((folder / "meta/info.json").read_text())


def _rows(folder: Path, pattern: str):
    return [row for path in sorted(folder.glob(pattern)) for row in pq.read_table(path).to_pylist()]


def test_every_number_is_in_the_frames(exported: Path, dataset: Path, episodes_of) -> None:
    frames = _rows(exported, "data/*/*.parquet")
    info = _info(exported)
    assert set(frames[0]) == set(info["features"])
    assert len(frames) == info["total_frames"]
    begin = 0
    for number, ours in enumerate(episodes_of(dataset)):
        episode = frames[begin : begin + ours.length]

        def column(name: str, dtype=np.float32, rows=episode):
            return np.array([row[name] for row in rows], dtype=dtype)

        np.testing.assert_array_equal(column("observation.state"), ours.observations[:-1])
        np.testing.assert_array_equal(column("action"), ours.actions)
        np.testing.assert_array_equal(column("mean_actions"), ours.mean_actions)
        np.testing.assert_array_equal(column("next.reward"), ours.rewards)
        np.testing.assert_array_equal(column("values"), ours.values)
        np.testing.assert_array_equal(column("advantages"), ours.advantages)
        np.testing.assert_array_equal(column("index", int), np.arange(begin, begin + ours.length))
        np.testing.assert_array_equal(column("frame_index", int), np.arange(ours.length))
        np.testing.assert_allclose(column("timestamp", float), np.arange(ours.length) / info["fps"], atol=1e-5)
        assert set(column("episode_index", int)) == {number}
        assert column("next.done", bool).tolist() == [False] * (ours.length - 1) + [True]
        assert column("next.success", bool).sum() == (not ours.early_termination)
        for camera in ours.cameras:
            pictures = [row[f"observation.images.{camera.removeprefix('walker/')}"]["bytes"] for row in episode]
            images = np.stack([np.asarray(Image.open(io.BytesIO(picture))) for picture in pictures])
            np.testing.assert_array_equal(images, ours.camera(camera)[:-1])
        begin += ours.length
    assert begin == len(frames)


def test_the_metadata_point_at_the_frames(exported: Path, dataset: Path, episodes_of) -> None:
    info, tasks = _info(exported), pq.read_table(exported / "meta/tasks.parquet").to_pylist()
    rows = _rows(exported, "meta/episodes/*/*.parquet")
    assert info["codebase_version"] == "v3.0"
    assert info["splits"] == {"train": f"0:{len(rows)}"}
    for number, (row, ours) in enumerate(zip(rows, episodes_of(dataset), strict=True)):
        path = exported / info["data_path"].format(
            chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
        )
        table = pq.read_table(path, filters=[("episode_index", "=", number)])
        assert (row["episode_index"], row["length"]) == (number, ours.length)
        assert table["index"].to_pylist() == list(range(row["dataset_from_index"], row["dataset_to_index"]))
        assert row["tasks"] == [task_text(ours.snippet)]
        (task,) = set(table["task_index"].to_pylist())
        assert tasks[task] == {"task_index": task, "__index_level_0__": task_text(ours.snippet)}
        np.testing.assert_allclose(row["stats/action/mean"], ours.actions.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(row["stats/next.reward/max"], [ours.rewards.max()])


def test_statistics_are_those_of_all_frames(exported: Path, dataset: Path, episodes_of) -> None:
    statistics = json.loads((exported / "meta/stats.json").read_text())
    episodes = list(episodes_of(dataset))
    observations = np.concatenate([episode.observations[:-1] for episode in episodes]).astype(np.float64)
    found = {name: np.array(values) for name, values in statistics["observation.state"].items()}
    np.testing.assert_array_equal(found["min"], observations.min(axis=0))
    np.testing.assert_array_equal(found["max"], observations.max(axis=0))
    np.testing.assert_allclose(found["mean"], observations.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(found["std"], observations.std(axis=0), atol=1e-9)
    lengths = [episode.length for episode in episodes]
    medians = [np.median(episode.observations[:-1].astype(np.float64), axis=0) for episode in episodes]
    np.testing.assert_allclose(found["q50"], np.average(medians, axis=0, weights=lengths), atol=1e-9)
    assert found["count"].tolist() == [len(observations)]
    for camera in episodes[0].cameras:
        images = np.concatenate([episode.camera(camera)[:-1] for episode in episodes])
        mean = np.array(statistics[f"observation.images.{camera.removeprefix('walker/')}"]["mean"])
        assert mean.shape == (3, 1, 1)
        np.testing.assert_allclose(mean.ravel(), images.mean(axis=(0, 1, 2)) / 255, atol=1e-6)


def test_features_describe_the_columns(exported: Path) -> None:
    info = _info(exported)
    table = pq.read_schema(next(exported.glob("data/*/*.parquet")))
    noted = json.loads(table.metadata[b"huggingface"])["info"]["features"]
    assert list(noted) == table.names == list(info["features"])
    for name, feature in info["features"].items():
        assert "/" not in name
        if feature["names"] is not None and feature["dtype"] == "float32":
            assert feature["shape"] == [len(feature["names"])]
            assert len(set(feature["names"])) == len(feature["names"])
            assert table.field(name).type.list_size == feature["shape"][0]


def test_full_files_give_way_to_new_ones(tmp_path: Path) -> None:
    features = {"observation.state": {"dtype": "float32", "shape": [50], "names": None}}
    schema = frames_schema(features)
    writer = RollingParquet(tmp_path, "{chunk_index}/{file_index}.parquet", file_bytes=20_000)
    places = []
    for number in range(12):
        places.append(writer.begin(schema))
        rows = np.random.default_rng(number).random((30, 50), dtype=np.float32)
        writer.append(frames_table({"observation.state": rows}, schema))
    writer.close()
    assert len(set(places)) > 1
    for place in set(places):
        rows = pq.read_table(tmp_path / f"{place[0]}/{place[1]}.parquet")
        assert len(rows) == 30 * places.count(place)


def test_mean_actions_are_the_actions_on_request(record, episodes_of, tmp_path: Path) -> None:
    source = record()
    export_rollouts([source], tmp_path / "out", ExportConfig("lerobot", actions="mean"))
    first = _rows(tmp_path / "out", "data/*/*.parquet")[0]
    episode = next(episodes_of(source))
    np.testing.assert_array_equal(np.array(first["action"], np.float32), episode.mean_actions[0])
    np.testing.assert_array_equal(np.array(first["sampled_actions"], np.float32), episode.actions[0])
