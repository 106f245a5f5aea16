"""Who acts: policies that remember do so for one episode at a time."""

import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.rollouts.actors import PolicyActor
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, open_batch, run_episodes
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig

SNIPPET = Snippet("demo_squat", 0, 40)
STARTS = [0, 25, 30, 10, 28, 0, 32]


class CountingPolicy:
    """Counts the steps of each environment's episode, and notes what it had counted before each call."""

    observables = ("walker/joints_pos", "walker/time_in_clip")
    ref_steps = (1,)

    def __init__(self) -> None:
        self.counted: list[np.ndarray] = []

    def predict(self, observations, state=None, deterministic=True):
        assert deterministic
        state = np.zeros(len(observations), dtype=int) if state is None else state
        self.counted.append(state)
        return np.zeros((len(observations), 56), dtype=np.float32), state + 1

    def reset_state(self, state, started, deterministic=True):
        assert deterministic
        return np.where(started, 0, state)


class Steps:
    def __init__(self) -> None:
        self.taken: list[np.ndarray] = []
        self.busy: list[np.ndarray] = []

    def on_tick(self, tick) -> None:
        self.taken.append(tick.steps)
        self.busy.append(tick.episodes >= 0)

    def on_end(self, index, episode) -> None:
        """Nothing."""


@pytest.mark.parametrize("num_envs", [1, 3, 4])
def test_a_state_begins_anew_with_each_episode(num_envs):
    plan = [PlannedEpisode(Start(0, start), (number,)) for number, start in enumerate(STARTS)]
    policy, steps = CountingPolicy(), Steps()
    config = TrackingConfig(ref_steps=(1,), min_steps=2)
    pairs = [(demo("demo_squat"), SNIPPET)]
    with open_batch(pairs, plan, observables=policy.observables, config=config, num_envs=num_envs, threads=1) as batch:
        run_episodes(batch, plan, PolicyActor(policy, batch), listeners=[steps])
    assert sum(int((taken == 0).sum()) for taken in steps.taken) >= len(plan)
    for counted, taken, busy in zip(policy.counted, steps.taken, steps.busy, strict=True):
        assert np.array_equal(counted[: len(taken)][busy], taken[busy])


def test_a_recurrent_policy_acts_alike_in_any_batch():
    config = NpmpConfig(embed_size=8, encoder_layers=(32,), decoder_layers=(32,))
    policy = build_policy(config, seed=0).eval()
    plan = [PlannedEpisode(Start(0, start), (number,)) for number, start in enumerate(STARTS)]
    task = TrackingConfig(ref_steps=policy.ref_steps, min_steps=2)
    lengths = []
    for num_envs in (1, 5):
        with open_batch(
            [(demo("demo_squat"), SNIPPET)],
            plan,
            observables=policy.observables,
            config=task,
            num_envs=num_envs,
            threads=1,
        ) as batch:
            ends = run_episodes(batch, plan, PolicyActor(policy, batch), act_noise=0.05, seed=1)
        lengths.append([(end.length, round(end.episode_return, 3)) for end in ends])
    assert lengths[0] == lengths[1]
