"""Episodes with their poses, for films and plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.policies.threads import few_torch_threads
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, Tick, open_batch, run_episodes
from mocapact_cli.core.rollouts.sampling import acting
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.envs.batch import EpisodeEnd, TrackingBatch
    from mocapact_cli.core.policies.base import Policy
    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.rollouts.episodes import Actor
    from mocapact_cli.core.walker.model import Walker


@dataclass(frozen=True)
class Trajectory:
    """An episode of T steps.

    Attributes:
        qpos: (T, 63) the walker's poses before each step.
        reference_qpos: (T, 63) the reference's poses at the same moments.
        rewards: (T,).
        end: How it ended.
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
        policy: Acts deterministically; the noise is added to its actions.
        clip: The whole clip.
        snippet: The part to track.
        start_step: Step in the clip at which to begin; default: the snippet's first.
        act_noise: Standard deviation of the noise.
        seed: Of it.
        config: The task's settings; default: the original's.
        walker: The body; default: the CMU humanoid.
    """
    starts = None if start_step is None else [start_step]
    (seen,) = record_episodes(
        policy,
        [(clip, snippet)],
        start_steps=starts,
        act_noise=act_noise,
        seed=seed,
        config=config,
        threads=1,
        walker=walker,
    )
    return seen


def record_episodes(
    policy: Policy,
    snippets: Sequence[tuple[Clip, Snippet]],
    *,
    start_steps: Sequence[int] | None = None,
    act_noise: float = 0.0,
    stochastic: bool = False,
    seed: int = 0,
    config: TrackingConfig | None = None,
    threads: int | None = None,
    walker: Walker | None = None,
    progress: Progress | None = None,
) -> list[Trajectory]:
    """Let a policy track some snippets once each, side by side, and keep the poses.

    Args:
        policy: Acts; the noise is added to its actions.
        snippets: (clip, snippet) pairs.
        start_steps: Steps in the clips at which to begin; default: the snippets' first ones.
        act_noise: Standard deviation of the noise.
        stochastic: Draw the policy's embedding.
        seed: Of both.
        config: The task's settings; default: the original's.
        threads: Of the physics; default: all cores.
        walker: The body; default: the CMU humanoid.
        progress: Told of every end.

    Raises:
        UsageError: The policy has no embedding to draw.
    """
    first = start_steps or [snippet.start_step for _, snippet in snippets]
    plan = [PlannedEpisode(Start(number, step), (number,)) for number, step in enumerate(first)]
    config = config or TrackingConfig(ref_steps=policy.ref_steps, min_steps=1)
    machine: dict[str, Any] = {"num_envs": len(plan), "threads": threads, "walker": walker}
    with (
        open_batch(snippets, plan, observables=policy.observables, config=config, **machine) as batch,
        few_torch_threads(batch.threads),
    ):
        poses = _Poses(batch)
        actor = _Watched(acting(policy, batch, plan, seed, stochastic=stochastic), poses)
        ends = run_episodes(
            batch,
            plan,
            actor,
            act_noise=act_noise,
            seed=seed,
            listeners=[poses],
            progress=progress,
            description="Recording",
        )
    return [poses.trajectory(env, end) for env, end in enumerate(ends)]


class _Poses:
    """Poses before each step and rewards of each, of environments that run one episode each."""

    def __init__(self, batch: TrackingBatch) -> None:
        self.batch = batch
        self.seen: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self.rewards: list[NDArray[np.float64]] = []

    def on_tick(self, tick: Tick) -> None:
        self.rewards.append(tick.result.rewards)

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """The poses were taken before each step, so the end adds none."""

    def trajectory(self, env: int, end: EpisodeEnd) -> Trajectory:
        qpos, reference = (
            np.stack([pose[env] for pose in part[: end.length]]) for part in zip(*self.seen, strict=True)
        )
        return Trajectory(qpos, reference, np.array([rewards[env] for rewards in self.rewards[: end.length]]), end)


class _Watched:
    """An actor before whose every action the poses are taken."""

    def __init__(self, actor: Actor, poses: _Poses) -> None:
        self.actor, self.poses = actor, poses

    def means(self, observations: NDArray[np.float32], episodes: NDArray[np.int64]) -> NDArray[np.float32]:
        self.poses.seen.append(self.poses.batch.poses())
        return self.actor.means(observations, episodes)
