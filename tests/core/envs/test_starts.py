import numpy as np
import pytest

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import EpisodeQueue, FailureStarts, TaskStarts
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig, TrackingTask


def test_random_starts_follow_the_tasks_probabilities(demos):
    squat, walk = demos["demo_squat"][0], demos["demo_walk"][0]
    snippets = [(squat, Snippet(squat.id, 0, 14)), (walk, Snippet(walk.id, 2, 17))]
    task = TrackingTask(snippets, TrackingConfig(min_steps=10), weights=[1.0, 4.0])
    sampler = TaskStarts()
    sampler.reset(task, np.random.default_rng(0))
    starts, probabilities = task.possible_starts()
    drawn = [sampler.next() for _ in range(20_000)]
    shares = np.array([drawn.count(start) for start in starts]) / len(drawn)
    np.testing.assert_allclose(shares, probabilities, atol=0.015)


def test_a_queue_gives_its_list_in_order_and_begins_anew_after_a_reset():
    starts = [Start(0, 3), Start(1, 0), Start(0, 3)]
    queue = EpisodeQueue(iter(starts))
    assert len(queue) == 3
    for _ in range(2):
        queue.reset(None, None)
        assert [queue.next() for _ in range(4)] == [*starts, None]


def short_task(demos, weights=None):
    squat, walk = demos["demo_squat"][0], demos["demo_walk"][0]
    snippets = [(squat, Snippet(squat.id, 0, 14)), (walk, Snippet(walk.id, 2, 17))]
    return TrackingTask(snippets, TrackingConfig(min_steps=10), weights=weights)


def shares_of(sampler, starts, count=20_000):
    drawn = [sampler.next() for _ in range(count)]
    return np.array([drawn.count(start) for start in starts]) / count


def test_before_anything_is_known_failure_starts_follow_the_tasks_probabilities(demos):
    task, sampler = short_task(demos, [1.0, 4.0]), FailureStarts()
    sampler.reset(task, np.random.default_rng(0))
    starts, probabilities = task.possible_starts()
    np.testing.assert_allclose(shares_of(sampler, starts), probabilities, atol=0.015)


def test_starts_that_fail_are_drawn_more_often_and_none_is_forgotten(demos):
    task, sampler = short_task(demos), FailureStarts(floor=0.1)
    sampler.reset(task, np.random.default_rng(0))
    starts, _ = task.possible_starts()
    for _ in range(200):
        for place, start in enumerate(starts):
            sampler.ended(start, 0.1 if place == 2 else 1.0)
    missing = sampler.missing
    assert missing[2] == pytest.approx(0.9 * 0.15 / (0.15 + 2 * 0.05), abs=0.1)
    assert missing[1] == pytest.approx(missing[3], abs=0.06)
    assert 0.1 < missing[1] < 0.3
    assert (missing[5:] < 1e-3).all()
    wanted = (0.1 + missing) / (0.1 + missing).sum()
    np.testing.assert_allclose(shares_of(sampler, starts), wanted, atol=0.015)


def test_neighbours_end_at_the_snippet(demos):
    task, sampler = short_task(demos), FailureStarts()
    sampler.reset(task, np.random.default_rng(0))
    starts, _ = task.possible_starts()
    last_of_first = max(place for place, start in enumerate(starts) if start.snippet_index == 0)
    before = sampler.missing.copy()
    sampler.ended(starts[last_of_first], 0.0)
    changed = np.flatnonzero(sampler.missing != before)
    assert changed.tolist() == [last_of_first - 1, last_of_first]


def test_a_floor_of_none_draws_as_the_task_says_whatever_fails(demos):
    task, sampler = short_task(demos, [1.0, 4.0]), FailureStarts(floor=None)
    sampler.reset(task, np.random.default_rng(0))
    starts, probabilities = task.possible_starts()
    for _ in range(100):
        sampler.ended(starts[0], 0.0)
    np.testing.assert_allclose(shares_of(sampler, starts), probabilities, atol=0.015)


def test_a_share_of_the_episodes_begins_at_the_first_step(demos):
    task, sampler = short_task(demos), FailureStarts(first_step_share=0.5)
    sampler.reset(task, np.random.default_rng(0))
    starts, _ = task.possible_starts()
    firsts = [Start(0, 0), Start(1, 2)]
    share = sum(shares_of(sampler, firsts))
    assert share == pytest.approx(0.5 + 0.5 * 2 / len(starts), abs=0.015)


def test_what_is_known_of_the_starts_survives_a_reset_and_can_be_restored(demos):
    task, sampler = short_task(demos), FailureStarts()
    sampler.reset(task, np.random.default_rng(0))
    starts, _ = task.possible_starts()
    for length in (0.0, 0.4, 0.9):
        sampler.ended(starts[4], length)
    known = sampler.missing.tolist()
    other = FailureStarts()
    other.restore(known)
    for each in (sampler, other):
        each.reset(task, np.random.default_rng(7))
    assert other.missing.tolist() == sampler.missing.tolist() == known
    assert [sampler.next() for _ in range(50)] == [other.next() for _ in range(50)]


def test_a_batch_tells_its_starts_what_became_of_them(demos):
    class Heard(TaskStarts):
        def __init__(self):
            self.heard = []

        def ended(self, start, norm_length):
            self.heard.append((start, norm_length))

    sampler, ends = Heard(), []
    with TrackingBatch([demos["demo_walk"]], num_envs=4, observables=["walker/joints_pos"], starts=sampler) as batch:
        batch.reset(seed=0)
        for _ in range(30):
            ends += batch.step(np.zeros((4, 56))).episodes
    assert len(ends) > 4
    assert sampler.heard == [(Start(end.snippet_index, end.start_step), end.norm_length) for end in ends]
