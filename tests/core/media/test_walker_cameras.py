import os
import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest

from mocapact_cli.core.datasets import schema
from mocapact_cli.core.datasets.reader import read_rollouts
from mocapact_cli.core.media.walker_cameras import CAMERAS, SIZE, WalkerCameras
from mocapact_cli.core.walker.model import get_walker

DM_CONTROL = """
import sys
import numpy as np
from mocapact_cli.core.bench.composer_env import composer_environment
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.media.walker_cameras import CAMERAS
from mocapact_cli.core.tasks.tracking import TrackingConfig

library = open_library()
pair = library.get("demo_step"), library.resolve("demo_step")
config = TrackingConfig(termination_error_threshold=10.0)
environment = composer_environment([pair], config, observables=CAMERAS)
seen, rng = [environment.reset()], np.random.default_rng(0)
poses = [environment.physics.data.qpos.copy()]
for _ in range(8):
    # It falls, so that the walker's own limbs and shadow come into view.
    for _ in range(4):
        step = environment.step(rng.normal(size=56))
    seen.append(step)
    poses.append(environment.physics.data.qpos.copy())
images = {name.replace("/", "-"): np.array([step.observation[name] for step in seen]) for name in CAMERAS}
np.savez(sys.argv[1], poses=np.array(poses), **images)
"""


def test_the_schema_knows_the_cameras() -> None:
    assert CAMERAS == schema.CAMERAS
    spec = next(spec for spec in schema.EPISODE_ARRAYS if spec.path == schema.CAMERA_PATHS[0])
    assert spec.shape[1:] == (SIZE, SIZE, 3)


def test_images_are_those_of_dm_controls_observables(opengl: str, tmp_path: Path) -> None:
    environment = {**os.environ, "MUJOCO_GL": opengl, "MOCAPACT_GL": opengl}
    command = [sys.executable, "-W", "ignore", "-c", DM_CONTROL, str(tmp_path / "seen.npz")]
    subprocess.run(command, env=environment, check=True, timeout=200, capture_output=True)
    with np.load(tmp_path / "seen.npz") as seen, WalkerCameras(get_walker()) as cameras:
        assert all(len(np.unique(seen[name.replace("/", "-")])) > 50 for name in CAMERAS)
        for index, pose in enumerate(seen["poses"]):
            drawn = cameras.render(pose)
            for name in CAMERAS:
                np.testing.assert_array_equal(drawn[name], seen[name.replace("/", "-")][index], strict=True)


def test_the_cameras_see_different_things_and_poses(opengl: str, standing) -> None:
    with WalkerCameras(get_walker()) as cameras:
        first = cameras.render(standing)
        lower = cameras.render(standing - np.eye(63)[2] * 0.3)
    assert not np.array_equal(*first.values())
    assert all(not np.array_equal(first[name], lower[name]) for name in CAMERAS)


@pytest.fixture
def standing():
    qpos = np.zeros(63)
    qpos[2], qpos[3:5] = 1.2, np.sqrt(0.5)
    return qpos


def test_published_images_show_the_same_scene(opengl: str, test_data: Path) -> None:
    """An older MuJoCo drew them without the shadow on the chest, which only the egocentric camera sees."""
    walker = get_walker()
    with (
        read_rollouts(test_data / "published/dataset_cameras") as rollouts,
        WalkerCameras(walker) as cameras,
    ):
        for episode in rollouts:
            for step in (0, 5, episode.length):
                drawn = cameras.render(_pose(walker, episode, step))
                seen = {name: episode.camera(name)[step] for name in CAMERAS}
                np.testing.assert_array_equal(drawn["walker/body_camera"], seen["walker/body_camera"])
                image, published = (images["walker/egocentric_camera"].astype(int) for images in (drawn, seen))
                # What is black is the same, and what is drawn is never lighter than without the shadow.
                assert ((image.sum(axis=-1) > 0) != (published.sum(axis=-1) > 0)).mean() < 0.01
                assert (np.abs(image - published).max(axis=-1) > 8).mean() < 0.2


def _pose(walker, episode, step: int) -> np.ndarray:
    """The recorded state: the root stands where the free joint does."""
    qpos = np.zeros(63)
    qpos[:3] = episode.observable("walker/position")[step]
    mujoco.mju_mat2Quat(qpos[3:7], episode.observable("walker/orientation")[step].astype(float))
    qpos[7:][walker.actuator_joint] = episode.observable("walker/joints_pos")[step]
    return qpos
