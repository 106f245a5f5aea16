from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.datasets.reader import read_rollouts
from mocapact_cli.core.evaluation.playback import can_show, joint_angles, poses, start_step
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, BASE
from mocapact_cli.core.walker import get_walker, pose_features


def test_poses_give_back_what_else_was_recorded(recorded: Path) -> None:
    walker = get_walker()
    with read_rollouts(recorded) as rollouts:
        for episode in rollouts:
            own, reference = poses(episode, (1, 2, 3, 4, 5), walker.actuator_joint)
            features = pose_features(walker, own)
            appendages = episode.observable("walker/appendages_pos").reshape(len(own), 5, 3)
            np.testing.assert_allclose(features.appendages, appendages, atol=1e-5)
            start = start_step(episode)
            expected = demo(Snippet.parse(episode.snippet).clip_id).qpos()[start + 1 : start + len(own)]
            assert np.isnan(reference[0]).all()
            expected[:, 3:7] *= np.sign(np.sum(expected[:, 3:7] * reference[1:, 3:7], axis=1, keepdims=True))
            np.testing.assert_allclose(reference[1:], expected, atol=1e-5)


def test_the_reference_is_where_the_episode_starts(recorded: Path) -> None:
    with read_rollouts(recorded) as rollouts:
        starts = {(episode.snippet, episode.index): start_step(episode) for episode in rollouts}
        joints = joint_angles(rollouts["demo_reach-0-40"][0], (1, 2, 3, 4, 5))
    assert starts["demo_reach-0-40", 0] == 0
    assert any(start > 0 for (_, index), start in starts.items() if index >= 2)
    assert np.isnan(joints.reference[0]).all()
    order = get_walker().actuator_joint
    np.testing.assert_allclose(
        joints.reference[1:], demo("demo_reach").joints[1 : len(joints.walker)][:, order], atol=1e-5
    )
    np.testing.assert_allclose(joints.walker[0], demo("demo_reach").joints[0][order], atol=1e-5)


@pytest.mark.parametrize(("ref_steps", "ahead"), [((0, 5), 0), ((3, 1), 1), ((-2, -1), None), ((90,), None)])
def test_the_nearest_reference_step_that_is_not_past_counts(recorded: Path, ref_steps, ahead) -> None:
    with read_rollouts(recorded) as rollouts:
        episode = rollouts["demo_reach-0-40"][0]
        columns = dict(episode._columns)
        first = columns["walker/reference_rel_joints"].start
        columns["walker/reference_rel_joints"] = slice(first, first + 56 * len(ref_steps))
        cut = type(episode)(episode.snippet, 0, True, False, episode._group, columns)
        known = np.isfinite(joint_angles(cut, ref_steps).reference).all(axis=1)
    assert not known.any() if ahead is None else (known[ahead:].all() and not known[:ahead].any())


def test_episodes_without_poses_are_not_shown(recorded: Path) -> None:
    assert can_show(ALL_PROPRIOS)
    assert not can_show(BASE)
    with read_rollouts(recorded) as rollouts:
        episode = rollouts["demo_reach-0-40"][0]
        bare = type(episode)(episode.snippet, 0, False, False, episode._group, {})
        assert poses(bare, (1,), get_walker().actuator_joint) is None
        assert joint_angles(bare, (1,)) is None
        assert start_step(bare) is None
