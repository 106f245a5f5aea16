from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.policies.latent_paths import prior_path
from mocapact_cli.core.policies.low_level import LowLevelPolicy
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.rollouts.latent import LatentActor, LatentEpisode, encode_snippets, move_freely
from mocapact_cli.core.rollouts.trajectory import record_episode
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig

FAR = 1e9


@pytest.fixture(scope="module")
def policy():
    sizes = {"encoder_layers": (16,), "decoder_layers": (16,), "embed_size": 4}
    return build_policy(NpmpConfig(**sizes), seed=1)


def test_a_decoder_that_gets_what_was_encoded_repeats_the_motion(policy, pairs) -> None:
    encodings = encode_snippets(policy, pairs[1:], termination_error_threshold=FAR, threads=1)
    assert [one.snippet for one in encodings] == [snippet for _, snippet in pairs[1:]]
    assert [len(one.embeddings) for one in encodings] == [one.end.length for one in encodings]
    low_level = LowLevelPolicy(policy, max_embed=None)
    clip, snippet = pairs[1]
    motion = move_freely(low_level, [pairs[1]], [LatentEpisode(Start(0, snippet.start_step), encodings[0].embeddings)])
    config = TrackingConfig(ref_steps=policy.ref_steps, min_steps=1, termination_error_threshold=FAR)
    tracked = record_episode(policy, clip, snippet, config=config)
    steps = min(len(tracked.qpos), len(motion[0].qpos))
    assert steps > 10
    np.testing.assert_allclose(motion[0].qpos[:steps], tracked.qpos[:steps], atol=1e-9)


def test_motions_do_not_depend_on_the_machine(policy, pairs) -> None:
    low_level = LowLevelPolicy(policy)
    starts = [Start(0, 10), Start(1, 30), Start(0, 2)]
    paths = [prior_path(12, 4, 0.5, np.random.default_rng(number)) for number in range(3)]
    episodes = [LatentEpisode(start, path) for start, path in zip(starts, paths, strict=True)]
    together = move_freely(low_level, pairs, episodes, threads=1)
    apart = move_freely(low_level, pairs, episodes, num_envs=2, threads=2)
    for start, path, one, other in zip(starts, paths, together, apart, strict=True):
        np.testing.assert_array_equal(one.qpos, other.qpos)
        np.testing.assert_array_equal(one.qpos[0], pairs[start.snippet_index][0].qpos()[start.start_step])
        assert one.qpos.shape == (len(one.embeddings) + 1, 63)
        assert one.qvel.shape == (len(one.embeddings), 62)
        np.testing.assert_array_equal(one.embeddings, path[: one.end.length])


def test_each_episode_is_told_its_own_next_embedding(policy) -> None:
    told = []

    class Listening(LowLevelPolicy):
        def act(self, observations, embeddings):
            told.append(np.array(embeddings))
            return super().act(observations, embeddings)

    paths = [np.full((3, 4), 10.0 * number, np.float32) + np.arange(3)[:, None] for number in range(2)]
    actor = LatentActor(Listening(policy), paths)
    observations = np.zeros((3, policy.features.size("decoder")), np.float32)
    first = actor.means(observations, np.array([-1, 1, 0]))
    actor.means(observations, np.array([-1, 1, -1]))
    assert [rows[:2, 0].tolist() for rows in told] == [[10.0, 0.0], [11.0, 0.0]]
    assert not first[0].any()
    assert first[1:].any()
