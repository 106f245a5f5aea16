"""Episodes in which one acts for as long as a prompt lasts and another goes on from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.threads import few_torch_threads
from mocapact_cli.core.rollouts.actors import PolicyActor
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, Tick, open_batch, run_episodes
from mocapact_cli.core.sim.observables import OBSERVABLES
from mocapact_cli.core.tasks.completion import ARENA
from mocapact_cli.core.walker.model import NUM_JOINTS, get_walker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.envs.batch import EpisodeEnd, TrackingBatch
    from mocapact_cli.core.policies.base import Policy
    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.rollouts.episodes import Actor, Listener
    from mocapact_cli.core.tasks.completion import CompletionTask

    Float32Array = NDArray[np.float32]
    FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Cast:
    """Who acts in completions.

    Attributes:
        prompt: Acts during the prompt; None where all prompts are recorded.
        recorded: For each planned episode the actions (at least prompt_length, 56) of its prompt; None for none.
        goes_on: Acts from there, having seen the prompt; None to repeat the prompt's last action.
        deterministic: Whether who goes on draws nothing.
    """

    prompt: Policy | None = None
    recorded: Sequence[Float32Array] | None = None
    goes_on: Policy | None = None
    deterministic: bool = True

    @property
    def policies(self) -> list[Policy]:
        """Those who see anything."""
        return [policy for policy in (self.prompt, self.goes_on) if policy is not None]

    @property
    def observables(self) -> tuple[str, ...]:
        """What all of them together see."""
        return tuple(dict.fromkeys(name for policy in self.policies for name in policy.observables))

    @property
    def ref_steps(self) -> tuple[int, ...]:
        """How far those look ahead who see a reference."""
        return tuple(sorted({step for policy in self.policies if sees_ahead(policy) for step in policy.ref_steps}))


def sees_ahead(policy: Policy) -> bool:
    """Whether a policy looks at reference poses of certain steps."""
    return any(name in OBSERVABLES and OBSERVABLES[name].per_reference_step for name in policy.observables)


class RecordedActor:
    """Repeats recorded actions, each planned episode its own.

    Args:
        actions: For each planned episode (T, 56).
    """

    def __init__(self, actions: Sequence[Float32Array]) -> None:
        self._actions, self._clock = actions, Clock()

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        """Return the next actions (N, 56); zeros where an episode's are over or where there is none."""
        result, steps = np.zeros((len(observations), NUM_JOINTS), np.float32), self._clock.next(episodes)
        for env in np.flatnonzero(episodes >= 0):
            recorded = self._actions[episodes[env]]
            if steps[env] < len(recorded):
                result[env] = recorded[steps[env]]
        return result


class CompletionActor:
    """One acts during the prompt, another goes on.

    Args:
        prompt: Acts during the prompt.
        goes_on: Sees all of an episode and acts after the prompt; None to repeat the prompt's last action.
        length: Steps of a prompt.
    """

    def __init__(self, prompt: Actor, goes_on: Actor | None, length: int) -> None:
        self._prompt, self._goes_on, self._length = prompt, goes_on, length
        self._clock = Clock()
        self._last: Float32Array = np.zeros((0, NUM_JOINTS), np.float32)

    def means(self, observations: Float32Array, episodes: NDArray[np.int64]) -> Float32Array:
        """Return the mean actions (N, A) of whoever's turn it is in each environment."""
        prompting = (self._clock.next(episodes) < self._length) & (episodes >= 0)
        going_on = self._goes_on.means(observations, episodes) if self._goes_on else self._held(len(observations))
        if not prompting.any():
            return going_on
        given = self._prompt.means(observations, np.where(prompting, episodes, -1))
        self._last = np.where(prompting[:, None], given, self._held(len(observations)))
        return np.where(prompting[:, None], given, going_on)

    def _held(self, count: int) -> Float32Array:
        return self._last if len(self._last) == count else np.zeros((count, NUM_JOINTS), np.float32)


class Clock:
    """Counts the steps of the episode in each environment."""

    def __init__(self) -> None:
        self._episodes: NDArray[np.int64] = np.zeros(0, np.int64)
        self._steps: NDArray[np.int64] = np.zeros(0, np.int64)

    def next(self, episodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many steps of its episode (N,) each environment took before this call, one for each call."""
        if len(self._episodes) != len(episodes):
            self._steps = np.zeros(len(episodes), np.int64)
        else:
            self._steps = np.where(self._episodes == episodes, self._steps + 1, 0)
        self._episodes = episodes.copy()
        return self._steps


def run_completions(
    task: CompletionTask,
    plan: Sequence[PlannedEpisode],
    cast: Cast,
    *,
    act_noise: float = 0.0,
    seed: int = 0,
    listen: Callable[[TrackingBatch], Sequence[Listener]] = lambda _: (),
    num_envs: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    description: str = "Completing",
) -> list[EpisodeEnd]:
    """Run planned episodes of a completion task, many side by side.

    Args:
        task: Says how long prompts are; its reference steps hold those of the cast.
        plan: The episodes.
        cast: Who acts.
        act_noise: Standard deviation of the noise on the actions after the prompt.
        seed: Of the noise.
        listen: Gives those that are told of every step and end.
        num_envs: Environments side by side; chosen by machine and work if not given.
        threads: Threads of the physics; all cores if not given.
        progress: Told of every end.
        description: What the progress bar calls this.

    Raises:
        UsageError: A policy sees what the environment does not give.
    """
    opened = open_batch(
        task, plan, observables=cast.observables, num_envs=num_envs, threads=threads, walker=get_walker(ARENA)
    )
    with opened as batch, few_torch_threads(batch.threads):
        return run_episodes(
            batch,
            plan,
            make_actor(batch, cast, task.prompt_length),
            act_noise=act_noise,
            noise_from=task.prompt_length,
            seed=seed,
            listeners=listen(batch),
            progress=progress,
            description=description,
        )


def make_actor(batch: TrackingBatch, cast: Cast, prompt_length: int) -> CompletionActor:
    """Return who acts in a batch.

    Raises:
        UsageError: Nobody gives the prompt, or a policy sees what the batch does not show.
    """
    if cast.recorded is not None:
        prompt: Actor = RecordedActor(cast.recorded)
    elif cast.prompt is not None:
        prompt = PolicyActor(cast.prompt, batch)
    else:
        raise UsageError("Nobody gives the prompt.", hint="Name an expert, a policy or a recorded episode.")
    goes_on = None if cast.goes_on is None else PolicyActor(cast.goes_on, batch, deterministic=cast.deterministic)
    return CompletionActor(prompt, goes_on, prompt_length)


class Paths:
    """Keeps where walkers are: of all, the root's place on the ground at the prompt's end and at the end; of some, all.

    Args:
        batch: The environments.
        prompt_length: Steps of a prompt.
        episodes: Number of planned episodes.
        filmed: Planned episodes whose poses are kept.
    """

    def __init__(self, batch: TrackingBatch, prompt_length: int, episodes: int, filmed: Sequence[int] = ()) -> None:
        self._batch, self._length = batch, prompt_length
        self.prompted: FloatArray = np.full((episodes, 2), np.nan)
        self.last: FloatArray = np.full((episodes, 2), np.nan)
        self._poses: dict[int, list[tuple[FloatArray, FloatArray]]] = {index: [] for index in filmed}

    def on_tick(self, tick: Tick) -> None:
        """Take note of where the step led to."""
        reached = self._batch.reached()
        place = reached.qpos[:, :2]
        running = (tick.episodes >= 0) & np.isfinite(place).all(axis=1)
        for end in tick.result.episodes:
            # A diverged simulation is nowhere.
            running[end.env] &= not end.diverged
        at_end = running & (tick.steps == self._length - 1)
        self.prompted[tick.episodes[at_end]] = place[at_end]
        self.last[tick.episodes[running]] = place[running]
        for env in np.flatnonzero(running & np.isin(tick.episodes, list(self._poses))):
            reference = self._batch.task.bank.qpos[reached.rows[env]]
            self._poses[int(tick.episodes[env])].append((reached.qpos[env], reference))

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """Nothing is left to take note of."""

    def poses(self, index: int) -> tuple[FloatArray, FloatArray]:
        """(T, 63) poses of the walker and of the reference after each step of a filmed episode."""
        walker, reference = zip(*self._poses[index], strict=True)
        return np.stack(walker), np.stack(reference)

    @property
    def distances(self) -> FloatArray:
        """(episodes,) metres on the ground from the prompt's end to the end; 0 where an episode ended before."""
        gone = np.linalg.norm(self.last - self.prompted, axis=1)
        return np.where(np.isfinite(gone), gone, 0.0)
