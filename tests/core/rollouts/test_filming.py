from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.datasets.check import check_rollouts
from mocapact_cli.core.datasets.reader import read_rollouts
from mocapact_cli.core.errors import MissingDependencyError
from mocapact_cli.core.media import gl
from mocapact_cli.core.media.walker_cameras import CAMERAS, WalkerCameras
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.rollouts.recorder import record_rollouts
from mocapact_cli.core.walker.model import get_walker

CONFIG = RolloutConfig(
    n_start_rollouts=1, n_rsi_rollouts=1, min_steps=36, termination_error_threshold=0.15, log_cameras=True
)
ARRAYS = ("observations", "actions", "values")


@pytest.fixture(scope="module")
def filmed(opengl: str, experts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("filmed") / "dataset"
    record_rollouts(experts[-1:], open_library(), folder, CONFIG)
    return folder


def test_every_observation_has_its_images(filmed: Path) -> None:
    """Also the last ones, which the environment has left for its next episode by then."""
    walker = get_walker()
    check_rollouts(filmed / "demo_squat.hdf5")
    with read_rollouts(filmed) as rollouts, WalkerCameras(walker) as cameras:
        for episode in rollouts:
            assert episode.cameras == CAMERAS
            images = {name: episode.camera(name) for name in CAMERAS}
            assert {len(seen) for seen in images.values()} == {episode.length + 1}
            for step in (0, episode.length // 2, episode.length):
                drawn = cameras.render(_pose(walker, episode.observations[step], rollouts))
                for name in CAMERAS:
                    # The recorded pose has seven digits, so an edge may fall on the neighbouring pixel.
                    assert (np.abs(drawn[name].astype(int) - images[name][step]).max(axis=-1) > 8).mean() < 0.01


def _pose(walker, row: np.ndarray, rollouts) -> np.ndarray:
    import mujoco

    columns = rollouts.file("demo_squat").observables
    qpos = np.zeros(63)
    qpos[:3] = row[columns["walker/position"]]
    mujoco.mju_mat2Quat(qpos[3:7], row[columns["walker/orientation"]].astype(float))
    qpos[7:][walker.actuator_joint] = row[columns["walker/joints_pos"]]
    return qpos


def test_cameras_change_nothing_else_and_images_are_compressed(filmed: Path, experts, tmp_path: Path) -> None:
    record_rollouts(experts[-1:], open_library(), tmp_path / "blind", dataclasses.replace(CONFIG, log_cameras=False))
    with read_rollouts(filmed) as seeing, read_rollouts(tmp_path / "blind") as blind:
        for one, other in zip(seeing, blind, strict=True):
            assert other.cameras == ()
            for name in ARRAYS:
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        images = seeing.file("demo_squat").handle["demo_squat-0-45/0/observations/walker/egocentric_camera"]
        assert images.compression == "gzip"
        assert images.id.get_storage_size() < images.nbytes / 2


def test_without_opengl_nothing_begins(experts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gl, "_works", lambda backend: False)
    gl.find_backend.cache_clear()
    try:
        with pytest.raises(MissingDependencyError, match="No off-screen OpenGL") as refused:
            record_rollouts(experts[-1:], open_library(), tmp_path / "dataset", CONFIG)
    finally:
        gl.find_backend.cache_clear()
    assert "libegl1" in refused.value.hint
    assert not (tmp_path / "dataset").exists()
