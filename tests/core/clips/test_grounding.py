from dataclasses import replace

import numpy as np
import pytest
from recordings import amc_text, swaying

from mocapact_cli.core.clips.amc import parse_amc
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.feet import lowest_feet, skate_speed, sole_points
from mocapact_cli.core.clips.grounding import contact_scale, ground, leg_length
from mocapact_cli.core.clips.retarget import CleanMotion, clean


def actor(clip_id, size):
    """A demo as somebody of another size would have recorded it."""
    clip = demo(clip_id)
    nothing = np.zeros(56)
    return CleanMotion(clip.position / size, clip.quaternion, clip.joints, 0, 0, nothing, nothing, 0.0)


def test_leg_length_of_the_walker(walker):
    assert leg_length(walker) == pytest.approx(0.985, abs=1e-3)


@pytest.mark.parametrize("clip_id", ["demo_walk", "demo_squat", "demo_step"])
@pytest.mark.parametrize("size", [0.9, 1.25])
def test_contact_tells_the_scale(walker, clip_id, size):
    assert contact_scale(walker, actor(clip_id, size)) == pytest.approx(size, rel=1e-3)


def test_someone_lying_tells_no_scale(walker):
    motion = actor("demo_squat", 1.2)
    lying = replace(motion, quaternion=np.tile([1.0, 0.0, 0.0, 0.0], (len(motion.position), 1)))
    assert contact_scale(walker, lying) is None


def test_a_motion_that_fits_stays_as_it_is(walker):
    clip = demo("demo_walk")
    grounded = ground(walker, actor("demo_walk", 1.2), 1.2)
    np.testing.assert_allclose(grounded.qpos[:, 2], clip.position[:, 2], atol=2e-3)
    way = np.ptp(grounded.qpos[:, 0]) / np.ptp(clip.position[:, 0])
    assert way == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("lift", [-0.15, 0.2])
def test_the_body_is_put_on_the_floor(walker, lift):
    motion = actor("demo_walk", 1.0)
    motion = replace(motion, position=motion.position + np.array([0.0, 0.0, lift]))
    grounded = ground(walker, motion, 1.0)
    lowest = lowest_feet(sole_points(walker, grounded.qpos))
    assert np.abs(lowest).max() < 5e-3
    assert grounded.height_offset == pytest.approx(-lift, abs=5e-3)


def test_planting_reduces_sliding_and_leaves_the_joints(walker):
    motion = actor("demo_walk", 1.0)
    slipping = replace(motion, position=motion.position * [1.25, 1.0, 1.0])
    before = skate_speed(
        sole_points(walker, np.concatenate([slipping.position, slipping.quaternion, slipping.joints], axis=1)), 0.03
    )
    grounded = ground(walker, slipping, 1.0)
    assert skate_speed(sole_points(walker, grounded.qpos), 0.03) < 0.4 * before
    np.testing.assert_array_equal(grounded.qpos[:, 3:], np.concatenate([motion.quaternion, motion.joints], axis=1))


def test_a_jump_stays_a_jump(walker):
    clip = demo("demo_squat")
    time = np.clip((np.arange(clip.num_steps) - 100) * clip.dt, 0.0, 0.5)
    flight = 9.81 / 2.0 * time * (0.5 - time)
    motion = actor("demo_squat", 1.0)
    motion = replace(motion, position=motion.position + flight[:, None] * [0.0, 0.0, 1.0])
    heights = lowest_feet(sole_points(walker, ground(walker, motion, 1.0).qpos))
    assert heights.max() > 0.8 * flight.max()
    assert np.abs(heights[:95]).max() < 0.03


def test_the_shortest_recording_is_grounded(walker):
    motion = clean(parse_amc(amc_text(swaying(18))), walker.joint_names, walker.joint_range)
    assert len(motion.position) == 2
    assert np.isfinite(ground(walker, motion, 1.2).qpos).all()
