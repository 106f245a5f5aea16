import numpy as np
import pytest
from recordings import CHANNELS, amc_text, asf_text, pose, swaying

from mocapact_cli.core.clips.amc import parse_amc
from mocapact_cli.core.clips.asf import DOFS, parse_asf
from mocapact_cli.core.clips.retarget import MAX_JOINT_SPEED, clean, num_poses
from mocapact_cli.core.errors import InvalidInputError


def cleaned(walker, frames, **options):
    return clean(parse_amc(amc_text(frames)), walker.joint_names, walker.joint_range, **options)


def joint(walker, motion, name):
    return motion.joints[:, walker.joint_names.index(name)]


def test_angles_map_one_to_one(walker):
    motion = cleaned(walker, [pose(lowerback=[10.0, -5.0, 3.0], rradius=[40.0])] * 40)
    for name, degrees in (("lowerbackrx", 10), ("lowerbackry", -5), ("lowerbackrz", 3), ("rradiusrx", 40)):
        np.testing.assert_allclose(np.rad2deg(joint(walker, motion, name)), degrees, atol=1e-9)


def test_the_root_turns_its_y_axis_up(walker):
    motion = cleaned(walker, [pose(root=[1.0, 16.0, 3.0, 0.0, 0.0, 0.0])] * 40)
    np.testing.assert_allclose(motion.position, np.array([[1.0, -3.0, 16.0]] * len(motion.position)) * 0.0254 / 0.45)
    np.testing.assert_allclose(np.abs(motion.quaternion), np.sqrt([[0.5, 0.5, 0.0, 0.0]] * len(motion.position)))


def test_sampling_follows_the_recorded_time(walker):
    frames = [pose(root=[0.01 * index, 16.0, 0.0, 0.0, 0.0, 0.0]) for index in range(200)]
    motion = cleaned(walker, frames)
    expected = 0.01 * 3.6 * np.arange(num_poses(200)) * 0.0254 / 0.45
    np.testing.assert_allclose(motion.position[:, 0], expected, atol=1e-9)


@pytest.mark.parametrize(("frames", "poses"), [(316, 85), (343, 93), (2751, 761), (74, 18), (37, 8)])
def test_lengths_are_those_of_the_published_clips(frames, poses):
    assert num_poses(frames) == poses


def test_values_outside_the_limits_are_clamped_and_counted(walker):
    motion = cleaned(walker, [pose(rradius=[-60.0])] * 40)
    index = walker.joint_names.index("rradiusrx")
    np.testing.assert_allclose(motion.joints[:, index], walker.joint_range[index, 0])
    assert motion.clamped[index] == 1.0


def test_a_folded_rotation_is_unfolded(walker):
    folded = [180.0 + 5.0, 180.0 - 10.0, 180.0 - 15.0]
    motion = cleaned(walker, [pose(lowerback=folded)] * 40)
    for name, degrees in (("lowerbackrx", 5), ("lowerbackry", 10), ("lowerbackrz", -15)):
        np.testing.assert_allclose(np.rad2deg(joint(walker, motion, name)), degrees, atol=1e-9)
    assert motion.clamped[walker.joint_names.index("lowerbackrx")] == 0.0


def test_spikes_and_flips_are_removed(walker):
    frames = swaying(200)
    frames[80] = {**frames[80], "rradius": [120.0]}
    for index in range(120, 200):
        frames[index] = {**frames[index], "lhand": [0.0, 40.0]}
    motion = cleaned(walker, frames)
    assert np.abs(np.diff(motion.joints, axis=0)).max() / 0.03 < MAX_JOINT_SPEED
    np.testing.assert_allclose(joint(walker, motion, "rradiusrx"), 0.0, atol=1e-9)
    assert motion.repaired[walker.joint_names.index("rradiusrx")] == pytest.approx(1 / 200)
    assert 0.0 < motion.repaired[walker.joint_names.index("lhandrz")] < 0.1


def test_a_jump_of_the_root_is_removed(walker):
    frames = swaying(200)
    frames[90] = {**frames[90], "root": [3.0, 16.5, 0.0, 0.0, 0.0, 0.0]}
    motion = cleaned(walker, frames)
    assert np.abs(motion.position[:, 0]).max() < 1e-6
    assert motion.repaired_root == pytest.approx(1 / 200)


def test_lost_frames_at_the_ends_are_trimmed(walker):
    zero = {bone: [0.0] * len(dofs) for bone, dofs in CHANNELS.items()}
    frames = swaying(200)
    motion = cleaned(walker, [zero] * 4 + frames + [zero] * 3)
    assert (motion.first_frame, motion.lost_frames) == (4, 7)
    assert len(motion.position) == num_poses(200)
    np.testing.assert_allclose(motion.joints, cleaned(walker, frames).joints, atol=1e-12)


def test_a_frozen_start_is_lost_and_a_frozen_middle_is_interpolated(walker):
    frames = swaying(200)
    frozen = [frames[0]] * 6 + frames[6:]
    assert cleaned(walker, frozen).lost_frames == 6
    frozen = frames[:100] + [frames[99]] * 5 + frames[105:]
    motion = cleaned(walker, frozen)
    assert motion.lost_frames == 0
    np.testing.assert_allclose(motion.repaired, 5 / 200)
    np.testing.assert_allclose(motion.joints, cleaned(walker, frames).joints, atol=2e-3)


def test_a_pose_that_is_held_is_not_lost(walker):
    assert cleaned(walker, [pose()] * 100).lost_frames == 0


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        ([pose()] * 10, "10 usable frames"),
        ([{bone: [0.0] * len(dofs) for bone, dofs in CHANNELS.items()}] * 50, "[Tt]racking was lost"),
        ([{bone: v for bone, v in pose().items() if bone != "lfoot"}] * 50, "lacks the walker's joint lfootr"),
    ],
)
def test_unusable_recordings_are_refused(walker, frames, problem):
    with pytest.raises(InvalidInputError, match=problem):
        cleaned(walker, frames)


@pytest.mark.parametrize(
    ("bone", "dofs", "problem"),
    [("tail", ("rx",), "no joint tailrx"), ("lfemur", ("rz", "ry", "rx"), "in the order rz ry rx")],
)
def test_skeletons_of_another_build_are_refused(walker, bone, dofs, problem):
    channels = {"root": DOFS, **CHANNELS, bone: dofs}
    frames = [pose(**{bone: [0.0] * len(dofs)})] * 50
    motion = parse_amc(amc_text(frames), "x", parse_asf(asf_text(channels=channels)))
    with pytest.raises(InvalidInputError, match=problem):
        clean(motion, walker.joint_names, walker.joint_range)
