from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.interop.exporters.export import ExportConfig, export_rollouts


def read_like_d4rl(path: Path) -> dict[str, np.ndarray]:
    """Read a file by the rules of D4RL's `OfflineEnv.get_dataset`: every dataset by its path, then checks of shapes."""
    names: list[str] = []
    data = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in names:
            try:
                data[name] = file[name][:]
            except ValueError:
                data[name] = file[name][()]
    for name in ("observations", "actions", "rewards", "terminals"):
        assert name in data
    count = len(data["observations"])
    for name in ("rewards", "terminals"):
        assert data[name].shape == (count,)
    return data


def sequences_like_d4rl(data: dict[str, np.ndarray]):
    """Cut the rows into episodes by the rules of D4RL's `sequence_dataset`."""
    rows: dict[str, list] = {}
    for index in range(len(data["rewards"])):
        for name in data:
            if "metadata" not in name:
                rows.setdefault(name, []).append(data[name][index])
        if data["terminals"][index] or data["timeouts"][index]:
            yield {name: np.array(values) for name, values in rows.items()}
            rows = {}
    assert not rows, "the last row ends an episode"


@pytest.mark.parametrize("actions", ["sampled", "mean"])
@pytest.mark.parametrize("ending", ["hdf5", "npz"])
def test_d4rl_readers_get_every_number(dataset: Path, episodes_of, tmp_path: Path, ending: str, actions: str) -> None:
    path = tmp_path / f"out.{ending}"
    export_rollouts([dataset], path, ExportConfig("d4rl", actions=actions))
    data = read_like_d4rl(path) if ending == "hdf5" else dict(np.load(path))
    for theirs, ours in zip(sequences_like_d4rl(data), episodes_of(dataset), strict=True):
        chosen, other, name = ours.actions, ours.mean_actions, "infos/mean_actions"
        if actions == "mean":
            chosen, other, name = other, chosen, "infos/sampled_actions"
        np.testing.assert_array_equal(theirs["observations"], ours.observations[:-1])
        np.testing.assert_array_equal(theirs["next_observations"], ours.observations[1:])
        np.testing.assert_array_equal(theirs["actions"], chosen)
        np.testing.assert_array_equal(theirs[name], other)
        np.testing.assert_array_equal(theirs["rewards"], ours.rewards)
        np.testing.assert_array_equal(theirs["infos/values"], ours.values)
        np.testing.assert_array_equal(theirs["infos/advantages"], ours.advantages)
        assert theirs["terminals"][-1] == ours.early_termination
        assert theirs["timeouts"][-1] != ours.early_termination
        assert set(theirs["infos/from_start"]) == {ours.from_start}
        assert set(data["metadata/snippets"][theirs["infos/snippet"]]) == {ours.snippet.encode()}
        for camera in ours.cameras:
            images = theirs[f"infos/cameras/{camera.removeprefix('walker/')}"]
            np.testing.assert_array_equal(images, ours.camera(camera)[:-1])
    assert data["observations"].dtype == data["actions"].dtype == data["rewards"].dtype == np.float32
    assert data["terminals"].dtype == data["timeouts"].dtype == np.bool_


def test_the_published_reference_is_met(test_data: Path, tmp_path: Path) -> None:
    reference = np.load(test_data / "published/reference/d4rl_in_memory.npz")
    export_rollouts([test_data / "published/dataset"], tmp_path / "out.hdf5", ExportConfig("d4rl"))
    data = read_like_d4rl(tmp_path / "out.hdf5")
    for name in ("actions", "rewards", "terminals", "timeouts"):
        np.testing.assert_array_equal(data[name], reference[name])


def test_metadata_name_the_columns(record, episodes_of, tmp_path: Path) -> None:
    source = record()
    export_rollouts([source], tmp_path / "out.npz", ExportConfig("d4rl"))
    with np.load(tmp_path / "out.npz", allow_pickle=False) as data:
        names = [name.decode() for name in data["metadata/observables"]]
        first, behind = data["metadata/observable_columns"][names.index("walker/joints_pos")]
        episode = next(episodes_of(source))
        found = data["observations"][: episode.length, first:behind]
        np.testing.assert_array_equal(found, episode.observable("walker/joints_pos")[:-1])
        assert data["metadata/ref_steps"].tolist() == [1, 2]
        assert data["metadata/actions"] == b"sampled"


def test_nothing_but_the_file_is_left(record, tmp_path: Path) -> None:
    source = record()
    for ending in ("npz", "h5"):
        export_rollouts([source], tmp_path / f"out/one.{ending}", ExportConfig("d4rl"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one.h5", "one.npz"]


def test_other_endings_are_refused(record, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"out\.csv"):
        export_rollouts([record()], tmp_path / "out.csv", ExportConfig("d4rl"))
