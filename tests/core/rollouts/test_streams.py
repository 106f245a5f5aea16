from __future__ import annotations

import numpy as np

from mocapact_cli.core.rollouts.streams import EMBEDDINGS, RANDOM_ACTIONS, STARTS, EpisodeStreams, stream, text_key


def test_keys_of_names_are_the_same_in_every_process() -> None:
    assert text_key("CMU_016_22-0-82") == 2395150207
    assert stream(3, (1, 2)).integers(1 << 30) == stream(3, (1, 2)).integers(1 << 30)


def test_what_is_drawn_for_one_purpose_is_not_drawn_for_another() -> None:
    assert len({STARTS, RANDOM_ACTIONS, EMBEDDINGS}) == 3


def test_streams_are_opened_with_their_episodes_and_run_on_with_them() -> None:
    streams = EpisodeStreams(7, lambda index: (5, index), RANDOM_ACTIONS)
    alone = {index: stream(7, (5, index, RANDOM_ACTIONS)).random(2) for index in range(3)}
    assert streams.follow(np.array([0, -1, 1])) == [0, 1]
    assert (streams[0].random(), streams[1].random()) == (alone[0][0], alone[1][0])
    assert streams.follow(np.array([2, -1, 1])) == [2]
    assert (streams[2].random(), streams[1].random()) == (alone[2][0], alone[1][1])
    # The first episode has ended, so it would begin anew.
    assert streams.follow(np.array([0, 2, 1])) == [0]
    assert streams[0].random() == alone[0][0]
