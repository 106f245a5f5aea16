"""Equal to what the original code computed with the packages of its time: at the reset and in the first steps.

Later steps drift apart with another version of MuJoCo; the bounds leave room for that, not for another definition.
"""

from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.clips.mocap_h5 import MocapFile
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import EpisodeQueue
from mocapact_cli.core.quaternions import quat_to_mat
from mocapact_cli.core.tasks.go_to_target import GoToTarget
from mocapact_cli.core.tasks.tracking import Start
from mocapact_cli.core.tasks.velocity_control import VelocityControl


@pytest.fixture(scope="module")
def reference(test_data):
    with np.load(test_data / "published" / "reference" / "env_mujoco2.3.1.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def pose(test_data):
    return MocapFile(test_data / "published" / "cmu_test_2020.h5").get("CMU_040_12")


class _GivenPlaces(GoToTarget):
    """Begins where the original did, with its target."""

    def __init__(self, pose, target, place):
        super().__init__(pose)
        self.given = (target, place)

    def cursor(self, walker, capacity):
        cursor = super().cursor(walker, capacity)
        places = [*self.given] * 10
        cursor._place = lambda row: places.pop(0)
        return cursor


def go_to_target(reference, pose):
    case = "G_go_to_target"
    qpos, seen = reference[f"{case}/qpos"][0], reference[f"{case}/obs/walker/target"][0]
    target = qpos[:3] + quat_to_mat(qpos[3:7][None])[0] @ seen
    return case, _GivenPlaces(pose, target[:2], qpos[:2] - pose.qpos()[0, :2])


class _GivenVelocity(VelocityControl):
    """Asks for the velocity that the original asked for."""

    def __init__(self, pose, speed, angle):
        super().__init__(pose)
        self.given = (speed, angle)

    def cursor(self, walker, capacity):
        cursor = super().cursor(walker, capacity)

        def draw(row, qpos):
            del qpos
            cursor.speed[row], cursor.angle[row] = self.given

        cursor.draw = draw
        return cursor


def velocity_control(reference, pose):
    case = "H_velocity_control"
    speed, sine, cosine, _ = reference[f"{case}/obs/target_obs"][0]
    return case, _GivenVelocity(pose, speed, np.arctan2(sine, cosine))


@pytest.mark.parametrize("make", [go_to_target, velocity_control])
def test_an_episode_of_the_original(make, reference, pose):
    case, task = make(reference, pose)
    assert list(task.observables) == [str(name) for name in reference[f"{case}/obs_keys"]]
    with TrackingBatch(
        task, num_envs=1, observables=task.observables, threads=1, starts=EpisodeQueue([Start(0, 0, 1)] * 2)
    ) as batch:
        assert_observed(batch, batch.reset()[0], reference, case, 0, 2e-6)
        np.testing.assert_allclose(batch.poses()[0][0], reference[f"{case}/qpos"][0], rtol=0, atol=1e-6)
        for step, reward in enumerate(reference[f"{case}/reward"]):
            result = batch.step(reference[f"{case}/ctrl"][step + 1][None])
            tolerance = 1e-5 if step < 10 else 1e-3
            assert result.rewards[0] == pytest.approx(reward, abs=tolerance)
            ended = len(result.done_envs) > 0
            assert ended == reference[f"{case}/done"][step]
            assert result.terminated[0] == (reference[f"{case}/discount"][step] == 0.0)
            flat = result.final_observations[0] if ended else result.observations[0]
            assert_observed(batch, flat, reference, case, step + 1, tolerance)


def assert_observed(batch, flat, reference, case, step, tolerance):
    for name, value in batch.layout.split(flat).items():
        expected = np.ravel(reference[f"{case}/obs/{name}"][step])
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance * scale, err_msg=f"{name} at {step}")
