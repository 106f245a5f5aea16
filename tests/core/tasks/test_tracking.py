import dataclasses

import numpy as np
import pytest

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig, TrackingCursor, TrackingTask
from mocapact_cli.core.walker.model import get_walker


@pytest.fixture(scope="module")
def clip():
    return open_library().get("demo_walk")


def task(clip, start=0, end=60, **config):
    return TrackingTask([(clip, Snippet(clip.id, start, end))], TrackingConfig(**config))


def test_reference_steps_are_sorted():
    assert TrackingConfig(ref_steps=(5, 1, 3)).ref_steps == (1, 3, 5)


@pytest.mark.parametrize("ref_steps", [(), (-1, 2)])
def test_unusable_reference_steps_are_refused(ref_steps):
    with pytest.raises(UsageError, match="Reference steps"):
        TrackingConfig(ref_steps=ref_steps)


def test_an_unknown_reward_type_names_the_known():
    with pytest.raises(UsageError) as caught:
        TrackingConfig(reward_type="comics")
    assert "comic" in caught.value.hint


def test_an_episode_from_the_latest_start_lasts_min_steps_less_one(clip):
    tracking = task(clip, ref_steps=(1, 5), min_steps=10)
    starts, probabilities = tracking.possible_starts()
    assert tracking.steps_left(starts[-1]) == 10
    assert starts[-1].start_step == 60 - 5 - 10
    assert tracking.steps_left(starts[0]) == 55
    assert probabilities.sum() == pytest.approx(1.0)


def test_starting_at_the_clips_start_has_one_start_a_snippet(clip):
    tracking = task(clip, 12, 60, always_init_at_clip_start=True)
    assert tracking.possible_starts()[0] == [Start(0, 12)]


@pytest.mark.parametrize(("end", "config"), [(9, {"min_steps": 12}), (12, {"ref_steps": (0, 12), "min_steps": 1})])
def test_a_snippet_that_is_too_short_is_refused(clip, end, config):
    with pytest.raises(InvalidInputError, match="too short"):
        task(clip, 0, end, **config)


def test_no_snippets_are_refused():
    with pytest.raises(UsageError, match="No snippet"):
        TrackingTask([], TrackingConfig())


def test_another_time_step_is_refused(clip):
    slow = dataclasses.replace(clip, dt=0.04)
    with pytest.raises(InvalidInputError, match=r"0\.04 s"):
        task(slow)


def test_judging_compares_with_the_step_that_is_reached(clip):
    tracking = task(clip, 10, 60, termination_error_threshold=0.05)
    walker = get_walker()
    cursor, features = TrackingCursor(tracking, walker, 2), Features(walker, 2)
    for row in range(2):
        qpos, _ = cursor.begin(row, Start(0, 20))
        np.testing.assert_array_equal(qpos, clip.qpos()[20])
    cursor.step[:] = [25 - 10, 60 - 10]
    features.qpos[:] = clip.qpos()[25]
    features.qvel[:] = clip.qvel()[25]
    features.com[:] = clip.center_of_mass[25]
    features.xpos[:, 1:], features.xquat[:, 1:] = clip.body_positions[25], clip.body_quaternions[25]
    judgement = cursor.judge(features, 2)
    np.testing.assert_array_equal(judgement.ended, [False, True])
    np.testing.assert_array_equal(judgement.failed, [False, True])
    np.testing.assert_allclose(sum(judgement.channels.values()), judgement.rewards)


def test_a_state_that_is_no_number_has_failed(clip):
    walker = get_walker()
    cursor, features = TrackingCursor(task(clip), walker, 1), Features(walker, 1)
    cursor.begin(0, Start(0, 5))
    features.qpos[:] = np.nan
    assert cursor.judge(features, 1).failed[0]
