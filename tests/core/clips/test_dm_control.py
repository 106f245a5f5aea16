"""Converted recordings and demos in dm_control's own loader and tracking task."""

import numpy as np
import pytest

from mocapact_cli.core.clips.clip import ARRAYS
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips

RECORDINGS = ("07_01", "08_07", "09_10", "16_36", "35_01", "49_18")


def make_task(path, ids):
    from dm_control.locomotion.arenas import floors
    from dm_control.locomotion.tasks.reference_pose import tracking, types
    from dm_control.locomotion.walkers import cmu_humanoid

    return tracking.MultiClipMocapTracking(
        walker=cmu_humanoid.CMUHumanoidPositionControlledV2020,
        arena=floors.Floor(size=(8.0, 8.0)),
        ref_path=str(path),
        ref_steps=(0,),
        dataset=types.ClipCollection(ids=ids, weights=[1.0] * len(ids)),
        reward_type="comic",
        min_steps=9,
        always_init_at_clip_start=False,
    )


@pytest.fixture(scope="module")
def clips(converted):
    return {clip.id: clip for clip in [converted[name][0] for name in RECORDINGS] + [demo("demo_walk")]}


@pytest.fixture(scope="module")
def path(clips, tmp_path_factory):
    path = tmp_path_factory.mktemp("dm_control") / "clips.h5"
    write_clips(path, clips.values())
    return path


def test_the_loader_reads_them_bit_by_bit(clips, path):
    from dm_control.locomotion.mocap import loader

    trajectories = loader.HDF5TrajectoryLoader(str(path))
    assert set(trajectories.keys()) == set(clips)
    for clip in clips.values():
        arrays = trajectories.get_trajectory(clip.id, zero_out_velocities=False).as_dict()
        for name in ARRAYS:
            assert arrays[f"walker/{name}"].tobytes() == np.ascontiguousarray(getattr(clip, name)).tobytes()


def test_the_tracking_task_starts_without_error_in_each_clip(clips, path):
    from dm_control import composer

    for clip_id in clips:
        task = make_task(path, [clip_id])
        environment = composer.Environment(task, random_state=np.random.RandomState(3))
        environment.reset()
        assert task._termination_error < 1e-6
        step = environment.step(np.zeros(environment.action_spec().shape))
        assert np.isfinite(step.reward)
