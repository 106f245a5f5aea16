"""One episode with its poses, for films and plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.rollouts.actors import PolicyActor
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, Tick, open_batch, run_episodes
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.envs.batch import EpisodeEnd, TrackingBatch
    from mocapact_cli.core.policies.base import Policy
    from mocapact_cli.core.walker.model import Walker


@dataclass(frozen=True)
class Trajectory:
    """An episode of T steps.

    Attributes:
        qpos: (T, 63) the walker's poses before each step.
        reference_qpos: (T, 63) the reference's poses at the same moments.
        rewards: (T,).
        end: how it ended.
    """

    qpos: NDArray[np.float64]
    reference_qpos: NDArray[np.float64]
    rewards: NDArray[np.float64]
    end: EpisodeEnd


def record_episode(
    policy: Policy,
    clip: Clip,
    snippet: Snippet,
    *,
    start_step: int | None = None,
    act_noise: float = 0.0,
    seed: int = 0,
    config: TrackingConfig | None = None,
    walker: Walker | None = None,
) -> Trajectory:
    """Let a policy track a snippet once and keep the poses.

    Args:
        policy: acts deterministically; the noise is added to its actions.
        clip: the whole clip. snippet: the part to track.
        start_step: step in the clip at which to begin; default: the snippet's first.
        act_noise: standard deviation of the noise. seed: of it.
        config: the task's settings; default: the original's.
        walker: the body; default: the CMU humanoid.
    """
    plan = [PlannedEpisode(Start(0, snippet.start_step if start_step is None else start_step), (0,))]
    config = config or TrackingConfig(ref_steps=policy.ref_steps, min_steps=1)
    with open_batch(
        [(clip, snippet)], plan, observables=policy.observables, config=config, num_envs=1, threads=1, walker=walker
    ) as batch:
        poses = _Poses(batch)
        actor = _Watched(PolicyActor(policy, batch), poses)
        ends = run_episodes(batch, plan, actor, act_noise=act_noise, seed=seed, listeners=[poses])
    qpos, reference = (np.concatenate(part) for part in zip(*poses.seen, strict=True))
    return Trajectory(qpos, reference, np.array(poses.rewards), ends[0])


class _Poses:
    def __init__(self, batch: TrackingBatch) -> None:
        self.batch = batch
        self.seen: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self.rewards: list[float] = []

    def on_tick(self, tick: Tick) -> None:
        self.rewards.append(float(tick.result.rewards[0]))

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """The poses were taken before each step, so the end adds none."""


class _Watched:
    """An actor before whose every action the poses are taken."""

    def __init__(self, actor: PolicyActor, poses: _Poses) -> None:
        self.actor, self.poses = actor, poses

    def means(self, observations: NDArray[np.float32], episodes: NDArray[np.int64]) -> NDArray[np.float32]:
        self.poses.seen.append(self.poses.batch.poses())
        return self.actor.means(observations, episodes)
