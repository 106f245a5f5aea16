import numpy as np

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.sim.references import ReferenceBank, RollingBank, snippet_reference


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


def _rolling(pairs):
    bank = RollingBank([snippet for _, snippet in pairs])
    whole = ReferenceBank(pairs)
    return bank, whole


def _assert_same_steps(bank, whole, index):
    steps = whole.num_steps[index]
    rows, wanted = (slice(side.first_row[index], side.first_row[index] + steps) for side in (bank, whole))
    for name in ("motion", "points", "qpos", "joints", "body_positions", "unit_quaternions", "ego_quaternions"):
        np.testing.assert_array_equal(getattr(bank, name)[rows], getattr(whole, name)[wanted])
    assert bank.last_row[index] == bank.first_row[index] + steps - 1
    assert bank.duration[index] == whole.duration[index]
    assert (bank.start_step[index], bank.num_steps[index]) == (whole.start_step[index], steps)


def test_a_rolling_bank_holds_what_is_open_and_reuses_its_rows():
    clips = {name: demo(name) for name in ("demo_reach", "demo_squat")}
    spans = [("demo_reach", 0, 40), ("demo_squat", 5, 60), ("demo_reach", 20, 70), ("demo_reach", 70, 150)] * 5
    pairs = [(clips[name], Snippet(name, begin, end)) for name, begin, end in spans]
    bank, whole = _rolling(pairs)
    for index, (clip, snippet) in enumerate(pairs):
        bank.open(index, snippet_reference(clip, snippet))
        for still_open in range(max(0, index - 2), index + 1):
            _assert_same_steps(bank, whole, still_open)
        if index >= 2:
            bank.close(index - 2)
    # Three of the longest snippets and some room, not twenty of them.
    assert bank.num_rows < 400
    for index in (len(pairs) - 1, len(pairs) - 2):
        bank.close(index)
    assert bank._free == [(0, bank.num_rows)]
