import mujoco
import numpy as np
import pytest

from mocapact_cli.core.sim.physics import PhysicsShard
from mocapact_cli.core.walker.model import get_walker


@pytest.fixture
def shard():
    return PhysicsShard(get_walker(), 2, subtree_velocities=True)


def start(shard, clips, env=0, row=None, step=15):
    clip = clips["demo_walk"]
    shard.reset(env, env if row is None else row, clip.qpos()[step], clip.qvel()[step])


def test_states_are_those_of_six_plain_steps(shard, clips):
    """To the last bit: building on the evaluation before saves time and changes nothing."""
    model = get_walker().model
    start(shard, clips)
    plain = mujoco.MjData(model)
    plain.qpos[:], plain.qvel[:] = clips["demo_walk"].qpos()[15], clips["demo_walk"].qvel()[15]
    # dm_control evaluates a reset with the actuators off; the solver starts from there.
    mujoco.mj_forward(get_walker().reset_model, plain)
    rng = np.random.default_rng(0)
    for _ in range(20):
        action = rng.normal(0, 0.3, 56)
        shard.step(0, action)
        plain.ctrl[:] = action
        mujoco.mj_step2(model, plain)
        mujoco.mj_step(model, plain, 5)
        mujoco.mj_step1(model, plain)
        mujoco.mj_forward(model, plain)
    features = shard.features
    assert features.time[0] == pytest.approx(20 * 0.03)
    for name in ("qpos", "qvel", "act"):
        np.testing.assert_allclose(getattr(features, name)[0], getattr(plain, name), atol=1e-9, err_msg=name)


def test_features_are_what_the_simulation_holds(shard, clips):
    walker, data = shard.walker, shard.data[1]
    start(shard, clips, env=1)
    shard.step(1, np.zeros(56))
    features = shard.features
    np.testing.assert_array_equal(features.qpos[1], data.qpos)
    np.testing.assert_array_equal(features.qvel[1], data.qvel)
    np.testing.assert_array_equal(features.body_positions[1], data.xpos[walker.tracking_bodies])
    np.testing.assert_array_equal(features.body_quaternions[1], data.xquat[walker.tracking_bodies])
    np.testing.assert_array_equal(features.com[1], data.subtree_com[walker.frame_body])
    np.testing.assert_array_equal(features.torso_linvel[1], data.subtree_linvel[walker.root_body])
    np.testing.assert_array_equal(features.sensordata[1], data.sensordata)
    assert not features.qpos[0].any()


def test_a_reset_fills_the_row_it_is_given_and_no_other(shard, clips):
    start(shard, clips)
    shard.step(0, np.zeros(56))
    last = shard.features.qpos[0].copy()
    start(shard, clips, row=2, step=40)
    np.testing.assert_array_equal(shard.features.qpos[0], last)
    np.testing.assert_array_equal(shard.features.qpos[2], clips["demo_walk"].qpos()[40])
    assert shard.features.time[2] == 0.0


def test_a_reset_forgets_the_episode_before(shard, clips):
    action = np.random.default_rng(1).normal(0, 1, 56)

    def run():
        start(shard, clips)
        for _ in range(4):
            shard.step(0, action)
        return shard.features.flat[0].copy()

    first = run()
    np.testing.assert_array_equal(first, run())


def test_divergence_leaves_a_warning(shard, clips):
    start(shard, clips)
    shard.data[0].qvel[7] = 1e13
    shard.step(0, np.zeros(56))
    assert shard.features.warnings[0].any()
    start(shard, clips)
    assert not shard.features.warnings[0].any()
