import numpy as np

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.starts import EpisodeQueue, TaskStarts
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
