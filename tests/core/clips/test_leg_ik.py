import numpy as np
import pytest

from mocapact_cli.core.clips.feet import sole_points
from mocapact_cli.core.clips.leg_ik import LegSolver, Stance, flat_foot
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.walker import pose_features


def crouch(walker, height):
    pose = np.zeros((1, 63))
    pose[0, 2], pose[0, 3:7] = height, 0.5
    for side, sign in (("l", -1.0), ("r", 1.0)):
        for joint, angle in (("femurrz", sign * 0.36), ("femurrx", -0.2), ("tibiarx", 0.5), ("footrx", -0.4)):
            pose[0, 7 + walker.joint_names.index(side + joint)] = angle
    return pose


def stance(walker, center_of_mass):
    rotations, heights = flat_foot(walker)
    ankles = np.array([[[0.0, 0.1, heights[0]], [0.0, -0.1, heights[1]]]])
    return Stance(ankles, rotations[None], np.array([center_of_mass]))


@pytest.mark.parametrize("center_of_mass", [(0.05, 0.0), (0.08, 0.05)])
def test_the_solution_meets_every_target(walker, center_of_mass):
    solved = LegSolver(walker).solve(crouch(walker, 1.05), stance(walker, center_of_mass))
    points = sole_points(walker, solved)[0]
    assert np.abs(points[..., 2]).max() < 0.003
    assert points[..., 2].min() > -1e-6
    np.testing.assert_allclose(pose_features(walker, solved).center_of_mass[0, :2], center_of_mass, atol=1e-7)
    assert solved[0, 2] == 1.05


def test_what_is_out_of_reach_is_an_error(walker):
    with pytest.raises(RunError, match="step 0"):
        LegSolver(walker).solve(crouch(walker, 1.5), stance(walker, (0.05, 0.0)))
