"""Policies that draw their embedding: by the seed alone, whatever runs beside."""

from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, open_batch, run_episodes
from mocapact_cli.core.rollouts.sampling import acting
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig

PAIRS = [(demo("demo_squat"), Snippet("demo_squat", 0, 40))]
PLAN = [PlannedEpisode(Start(0, start), (number,)) for number, start in enumerate((0, 25, 30, 10, 28))]


@pytest.fixture(scope="module")
def npmp():
    return build_policy(NpmpConfig(embed_size=8, encoder_layers=(32,), decoder_layers=(32,)), seed=0).eval()


class Actions:
    """Keeps what was chosen at each step of each episode."""

    def __init__(self) -> None:
        self.chosen: dict[tuple[int, int], np.ndarray] = {}

    def on_tick(self, tick) -> None:
        for env in np.flatnonzero(tick.episodes >= 0):
            self.chosen[int(tick.episodes[env]), int(tick.steps[env])] = tick.means[env]

    def on_end(self, index, episode) -> None:
        """Nothing."""


def run(policy, *, num_envs: int, seed: int = 3, stochastic: bool = True):
    config, seen = TrackingConfig(ref_steps=policy.ref_steps, min_steps=2), Actions()
    machine = {"num_envs": num_envs, "threads": 1}
    with open_batch(PAIRS, PLAN, observables=policy.observables, config=config, **machine) as batch:
        run_episodes(batch, PLAN, acting(policy, batch, PLAN, seed, stochastic=stochastic), listeners=[seen])
    return seen.chosen


def test_what_is_drawn_depends_on_the_seed_and_the_episode_alone(npmp) -> None:
    one, same, other = run(npmp, num_envs=2), run(npmp, num_envs=5), run(npmp, num_envs=5, seed=4)
    assert one.keys() == same.keys()
    for place, actions in one.items():
        np.testing.assert_allclose(actions, same[place], atol=1e-4)
    assert not np.allclose(one[0, 0], other[0, 0], atol=1e-3)


def test_the_first_action_is_that_of_a_drawn_embedding(npmp) -> None:
    """Two episodes of one start differ where embeddings are drawn and are alike where they are not."""
    plan = [PlannedEpisode(Start(0, 0), (number,)) for number in range(2)]
    config = TrackingConfig(ref_steps=npmp.ref_steps, min_steps=2)
    with open_batch(PAIRS, plan, observables=npmp.observables, config=config, num_envs=2, threads=1) as batch:
        first, episodes = batch.reset(), np.arange(2)
        drawn = acting(npmp, batch, plan, 0, stochastic=True).means(first, episodes)
        means = acting(npmp, batch, plan, 0, stochastic=False).means(first, episodes)
    np.testing.assert_array_equal(means[0], means[1])
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-3


def test_a_policy_without_an_embedding_has_nothing_to_draw() -> None:
    policy = build_policy(MlpConfig(layers=(8,)), seed=0)
    with pytest.raises(UsageError, match=r"\(mlp\) has no embedding"):
        acting(policy, None, PLAN, 0, stochastic=True)  # type: ignore[arg-type]
