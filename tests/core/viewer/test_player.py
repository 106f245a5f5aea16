from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.viewer.player import END_PAUSE_S, MOST_NEW, Player
from mocapact_cli.core.viewer.takes import Take


def pose(x: float) -> np.ndarray:
    """A walker that stands straight at x."""
    return np.concatenate([[x, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0], np.zeros(56)])


def recorded(frames: int = 11, ghosts: bool = True) -> Take:
    poses = [pose(0.1 * frame) for frame in range(frames)]
    seen = [pose(1.0 + 0.1 * frame) if ghosts and frame > 2 else None for frame in range(frames)]
    return Take("a", frames, poses=poses, ghosts=seen, dt=0.03)


class Growing(Take):
    """Has one frame, and makes others up to its capacity."""

    @property
    def grows(self) -> bool:
        return self.frames < self.capacity

    def extend(self) -> bool:
        if not self.grows:
            return False
        self.poses.append(pose(self.frames))
        self.ghosts.append(None)
        return True


def growing() -> Growing:
    return Growing("a", 9, poses=[pose(0.0)], ghosts=[None], dt=0.1)


def test_time_moves_it_at_the_chosen_speed(walker) -> None:
    player = Player(walker, recorded())
    player.advance(0.045)
    assert player.position == pytest.approx(1.5)
    player.speed = 0.5
    player.advance(0.06)
    assert player.position == pytest.approx(2.5)
    player.playing = False
    player.advance(0.06)
    assert player.position == pytest.approx(2.5)


def test_between_two_frames_the_walker_is_in_between(walker) -> None:
    player = Player(walker, recorded())
    player.position = 4.25
    body, ghost = player.shown()
    assert body[0] == pytest.approx(0.425)
    assert ghost[0] == pytest.approx(1.425)
    player.position = 1.5
    assert player.shown()[1] is None


def test_the_last_pose_stands_for_a_while_then_it_begins_again(walker) -> None:
    player = Player(walker, recorded())
    player.advance(1.0)
    assert (player.frame, player.playing) == (10, True)
    player.advance(0.9 * END_PAUSE_S)
    assert player.frame == 10
    player.advance(0.2 * END_PAUSE_S)
    assert player.position == 0.0


def test_without_a_loop_it_stays_at_the_end_and_play_begins_again(walker) -> None:
    player = Player(walker, recorded())
    player.loop = False
    player.advance(1.0)
    assert (player.frame, player.playing) == (10, False)
    player.play()
    assert (player.frame, player.playing) == (0, True)


def test_one_can_go_anywhere_there_is(walker) -> None:
    player = Player(walker, recorded())
    for wanted, found in ((7, 7), (-3, 0), (99, 10)):
        player.seek(wanted)
        assert player.frame == found
    player.step(-4)
    assert (player.frame, player.playing) == (6, False)
    player.step(1)
    assert player.frame == 7


def test_a_live_take_is_made_as_far_as_needed_and_no_further(walker) -> None:
    player = Player(walker, growing())
    player.advance(0.15)
    assert (player.position, player.take.frames) == (pytest.approx(1.5), 3)
    player.seek(0)
    player.advance(0.1)
    assert player.take.frames == 3
    player.step(1)
    assert (player.frame, player.take.frames) == (2, 3)


def test_a_slow_policy_slows_time_down(walker) -> None:
    player = Player(walker, growing())
    player.take.capacity = 99
    for pictures in (1, 2, 3):
        player.advance(60.0)
        assert player.take.frames == 1 + MOST_NEW * pictures
        assert (player.position, player.playing) == (MOST_NEW * pictures, True)


def test_what_is_followed_moves_with_the_walker_but_smoothly(walker) -> None:
    take = recorded(201)
    for frame, place in enumerate(take.poses):
        place[1] = 0.05 * (-1) ** frame
    player = Player(walker, take)
    seen = []
    for position in np.arange(40, 160, 0.5):
        player.position = position
        seen.append(player.ground())
    seen = np.array(seen)
    np.testing.assert_allclose(seen[:, 0], 0.1 * np.arange(40, 160, 0.5), atol=1e-9)
    assert np.abs(seen[:, 1]).max() < 0.003
