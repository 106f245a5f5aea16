from __future__ import annotations

import numpy as np

from mocapact_cli.core.rollouts.noise import EpisodeNoise


def noisy(env: int, num_envs: int, step: int, key: tuple[int, ...], seed: int = 0, scale: float = 0.1) -> np.ndarray:
    noise = EpisodeNoise(num_envs, 5, 3, scale=scale, seed=seed)
    noise.begin([env], [key])
    return noise.add(np.zeros((num_envs, 3), np.float32), np.full(num_envs, step))[env]


def test_noise_belongs_to_the_episode_and_not_to_its_place() -> None:
    np.testing.assert_array_equal(noisy(0, 1, 3, (5, 7)), noisy(2, 4, 3, (5, 7)))


def test_episodes_steps_and_seeds_differ() -> None:
    draws = [noisy(0, 1, 0, (5, 7)), noisy(0, 1, 1, (5, 7)), noisy(0, 1, 0, (5, 8)), noisy(0, 1, 0, (5, 7), seed=1)]
    assert len({tuple(draw) for draw in draws}) == 4


def test_noise_has_the_standard_deviation_asked_for() -> None:
    draws = np.concatenate([noisy(0, 1, step, (key,)) for key in range(100) for step in range(5)])
    assert 0.09 < draws.std() < 0.11
    assert draws.dtype == np.float32


def test_no_noise_leaves_the_mean_and_its_bounds() -> None:
    noise = EpisodeNoise(2, 5, 3, scale=0.0, seed=0)
    noise.begin([0], [(1,)])
    np.testing.assert_array_equal(noise.add(np.full((2, 3), 1.5, np.float32), np.zeros(2, np.int64)), np.ones((2, 3)))
