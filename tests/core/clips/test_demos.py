import numpy as np
import pytest

from mocapact_cli.core.clips.built_in import DEMOS, NUM_STEPS
from mocapact_cli.core.clips.demos import bump, demo, ease, generate, pendulum
from mocapact_cli.core.clips.feet import lowest_feet, skate_speed, sole_points, sole_steps
from mocapact_cli.core.clips.snippets import cut
from mocapact_cli.core.errors import NotFoundError


@pytest.fixture(scope="module", params=list(DEMOS))
def clip(request):
    return demo(request.param)


def test_a_demo_is_one_snippet_of_the_announced_length(clip):
    assert clip.num_steps == NUM_STEPS[clip.id]
    assert len(cut(clip.id, clip.last_step)) == 1
    assert 1.5 <= clip.duration <= 6.2


def test_joints_stay_inside_their_limits(clip, walker):
    lower, upper = walker.joint_range.T
    assert (clip.joints >= lower).all()
    assert (clip.joints <= upper).all()


def test_some_foot_always_stands_flat_on_the_floor_and_stays(clip, walker):
    points = sole_points(walker, clip.qpos())
    assert np.abs(lowest_feet(points)).max() < 1e-6
    # The flattest way to stand on the model's two slightly different soles leaves 2 mm under one edge.
    assert points[..., 2].max(axis=2).min(axis=1).max() < 0.003
    moved, height = sole_steps(points)
    standing = height < 1e-6
    assert standing.any(axis=1).all()
    assert np.linalg.norm(moved, axis=-1)[standing].max() < 1e-3 * clip.dt
    assert skate_speed(points, clip.dt) < 0.05


def test_the_floor_could_carry_the_motion(clip, walker):
    """The zero-moment point of the centre of mass lies among the sole points that touch the floor."""
    com = clip.center_of_mass[:, :2]
    acceleration = np.diff(com, 2, axis=0) / clip.dt**2
    support = com[1:-1] - clip.center_of_mass[1:-1, 2:] / 9.81 * acceleration
    points = sole_points(walker, clip.qpos())[1:-1].reshape(len(support), -1, 3)
    touching = points[..., 2:] < 0.003
    low = np.where(touching, points[..., :2], np.inf).min(axis=1) - 0.03
    high = np.where(touching, points[..., :2], -np.inf).max(axis=1) + 0.03
    assert (support > low).all()
    assert (support < high).all()


def test_curves_are_smooth_and_start_and_end_at_rest(clip):
    acceleration = np.diff(clip.joints, 2, axis=0) / clip.dt**2
    assert np.abs(clip.joints_velocity).max() < 8.0
    assert np.abs(acceleration).max() < 100.0
    assert np.abs(np.diff(acceleration, axis=0)).max() < 60.0
    assert np.abs(clip.qvel()[[0, -1]]).max() < 0.08


def test_demos_are_what_they_say():
    height = {clip_id: np.ptp(demo(clip_id).position[:, 2]) for clip_id in DEMOS}
    travel = {clip_id: demo(clip_id).position[-1, 0] - demo(clip_id).position[0, 0] for clip_id in DEMOS}
    assert height["demo_squat"] > 0.2
    assert travel["demo_walk"] > 1.0
    assert max(abs(travel[clip_id]) for clip_id in DEMOS if clip_id != "demo_walk") < 1e-3
    assert np.ptp(demo("demo_reach").end_effectors[:, 0], axis=0).max() > 0.4


def test_generation_is_deterministic(walker):
    assert generate("demo_walk", walker).qpos().tobytes() == generate("demo_walk", walker).qpos().tobytes()


def test_an_unknown_demo_names_the_nearest():
    with pytest.raises(NotFoundError) as caught:
        demo("demo_sqat")
    assert "demo_squat" in caught.value.hint


def test_easing_and_bumps_are_flat_at_their_ends():
    times = np.linspace(0.0, 3.0, 3001)
    for curve, ends in ((ease(times, 1.0, 2.0), (0.0, 1.0)), (bump(times, 1.0, 2.0), (0.0, 0.0))):
        assert (curve[0], curve[-1]) == ends
        bends = np.gradient(np.gradient(curve, times), times)
        assert abs(bends[1000]) < 0.5
        assert abs(bends[2000]) < 0.5
    assert bump(np.array([1.5]), 1.0, 2.0)[0] == 1.0


def test_the_pendulum_follows_its_support():
    still = np.tile([0.3, -0.2], (50, 1))
    np.testing.assert_allclose(pendulum(still), still)
    support = np.concatenate([np.zeros((100, 2)), np.ones((100, 2))])
    path = pendulum(support)
    acceleration = np.diff(path, 2, axis=0) / 0.03**2
    np.testing.assert_allclose(path[1:-1] - 1.1 / 9.81 * acceleration, support[1:-1], atol=1e-9)
