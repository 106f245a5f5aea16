import numpy as np
import pytest

from mocapact_cli.core.clips.clip import ARRAYS, Clip
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.walker import finite_difference_velocities, pose_features


@pytest.fixture(scope="module")
def clip() -> Clip:
    return demo("demo_walk")


def test_everything_follows_from_the_poses(clip, walker):
    again = Clip.from_qpos(clip.id, clip.qpos(), clip.dt, walker)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(again, name), getattr(clip, name))
    features = pose_features(walker, clip.qpos())
    np.testing.assert_array_equal(clip.body_positions, features.body_positions)
    np.testing.assert_array_equal(clip.qvel(), finite_difference_velocities(walker, clip.qpos(), clip.dt))


def test_sizes(clip):
    assert (clip.num_steps, clip.last_step, clip.duration) == (191, 190, pytest.approx(5.7))
    assert (clip.qpos().shape, clip.qvel().shape) == ((191, 63), (191, 62))


def test_a_slice_holds_both_ends(clip):
    part = clip.slice(10, 20)
    assert part.num_steps == 11
    np.testing.assert_array_equal(part.joints[[0, -1]], clip.joints[[10, 20]])


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 5), (0, 191)])
def test_a_slice_outside_the_clip_is_refused(clip, start, end):
    with pytest.raises(InvalidInputError):
        clip.slice(start, end)
