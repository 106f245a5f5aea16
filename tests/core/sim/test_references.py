import numpy as np

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.sim.references import ReferenceBank


def test_clips_are_stored_once_and_snippets_point_into_them(clips):
    walk, squat = clips["demo_walk"], clips["demo_squat"]
    snippets = [(walk, Snippet(walk.id, 5, 50)), (squat, Snippet(squat.id, 2, 40)), (walk, Snippet(walk.id, 60, 90))]
    bank = ReferenceBank(snippets)
    assert len(bank.qpos) == walk.num_steps + squat.num_steps
    np.testing.assert_array_equal(bank.first_row, [5, walk.num_steps + 2, 60])
    last = [walk.last_step, walk.num_steps + squat.last_step, walk.last_step]
    np.testing.assert_array_equal(bank.last_row, last)
    np.testing.assert_array_equal(bank.num_steps, [46, 39, 31])
    np.testing.assert_allclose(bank.duration, [45 * 0.03, 38 * 0.03, 30 * 0.03])
    qpos, qvel = bank.start(bank.first_row[1])
    np.testing.assert_array_equal(qpos, squat.qpos()[2])
    np.testing.assert_array_equal(qvel, squat.qvel()[2])
    np.testing.assert_array_equal(bank.body_positions[bank.first_row[2]], walk.body_positions[60])


def test_orientations_relative_to_the_root(bank):
    # The first tracked bodies hang on the root by hip joints, so nothing is far from it in a walk.
    assert bank.ego_quaternions.shape == bank.body_quaternions.shape
    np.testing.assert_allclose(np.linalg.norm(bank.ego_quaternions, axis=-1), 1.0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(bank.unit_quaternions, axis=-1), 1.0, atol=1e-12)
