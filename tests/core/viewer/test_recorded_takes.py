from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.datasets.reader import read_rollouts
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.viewer.opening import open_source
from mocapact_cli.core.viewer.recorded_takes import clip_take, episode_take
from mocapact_cli.core.viewer.sources import Request


def test_a_part_of_a_clip_is_its_poses_with_speed_and_height() -> None:
    clip = demo("demo_walk")
    take = clip_take(clip, Snippet(clip.id, 30, 90))
    assert (take.title, take.frames, take.capacity, take.first_step) == ("demo_walk-30-90", 61, 61, 30)
    np.testing.assert_array_equal(take.poses, clip.qpos()[30:91])
    np.testing.assert_allclose(take.curve("height"), clip.position[30:91, 2])
    moved = np.linalg.norm(np.diff(clip.position[30:91], axis=0), axis=1) / clip.dt
    np.testing.assert_allclose(take.curve("speed")[:-1], moved, atol=1e-6)
    assert {name for chart in take.charts for name in chart.curves} == set(take.curves)


def test_an_episode_is_what_the_expert_did_when_it_was_recorded(recorded: Path, experts: Path) -> None:
    """Recorded from the start and without noise, it is what the expert does again, live."""
    source = open_source(str(experts))
    with read_rollouts(recorded) as rollouts:
        for name in ("demo_reach-0-40", "demo_squat-5-45"):
            episode = rollouts[name][0]
            take = open_source(str(recorded)).take(Request(name))
            live = source.take(Request(name))
            while live.extend():
                pass
            assert take.frames == live.frames == episode.length + 1
            assert take.first_step == live.first_step
            np.testing.assert_allclose(take.poses, live.poses, atol=1e-5)
            np.testing.assert_allclose(take.curve("reward"), live.curve("reward")[: take.capacity], atol=1e-6)
            known = np.flatnonzero([ghost is not None for ghost in take.ghosts])
            assert len(known) > 0.8 * take.frames
            np.testing.assert_allclose(take.poses[0], live.poses[0], atol=1e-5)
            for frame in known:
                np.testing.assert_allclose(take.ghosts[frame], live.ghosts[frame], atol=1e-4)
            errors = take.curve("error")[known][1:], live.curve("error")[known][1:]
            np.testing.assert_allclose(*errors, atol=1e-4)
            assert ("failed" in take.outcome) == episode.early_termination
            live.close()


def test_an_episode_that_does_not_say_where_the_walker_was_is_refused(write_rollouts, tmp_path: Path, walker) -> None:
    """Its numbers are random, so its rotations and places are none."""
    write_rollouts(tmp_path / "a")
    with read_rollouts(tmp_path / "a") as rollouts:
        episode = rollouts["demo_squat-0-40"][0]
        object.__setattr__(episode, "_columns", {"walker/joints_pos": episode._columns["walker/joints_pos"]})
        with pytest.raises(InvalidInputError, match="does not say where the walker was"):
            episode_take(episode, (1, 2), walker)
