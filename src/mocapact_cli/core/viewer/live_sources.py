"""Sources whose takes are made by a policy that acts live."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.prompts import check_sight
from mocapact_cli.core.evaluation.transfer import DecodedActor, plan_episodes
from mocapact_cli.core.interop.expert_folder import load_expert
from mocapact_cli.core.rollouts.actors import PolicyActor
from mocapact_cli.core.rollouts.completion import Cast, CompletionActor, make_actor
from mocapact_cli.core.rollouts.controllers import make_baseline
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, open_batch
from mocapact_cli.core.tasks.completion import ARENA, CompletionTask
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig
from mocapact_cli.core.viewer.curves import channel_chart, error_chart, reward_chart
from mocapact_cli.core.viewer.live_takes import LiveTake, Stage
from mocapact_cli.core.viewer.recorded_takes import USUAL_THRESHOLD
from mocapact_cli.core.viewer.sources import Request, Source, check_motion
from mocapact_cli.core.walker.model import get_walker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.library import ClipLibrary
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.evaluation.prompts import Prompt
    from mocapact_cli.core.evaluation.transfer import TransferSubject
    from mocapact_cli.core.interop.expert_folder import ExpertLocation
    from mocapact_cli.core.policies.base import Policy
    from mocapact_cli.core.tasks.tracking import TrackingTask
    from mocapact_cli.core.viewer.curves import Chart
    from mocapact_cli.core.viewer.takes import Take

PROMPTER = "pd-gravity"
"""Who gives a prompt where nobody is named: the controller that aims at the reference's next pose."""


@dataclass(frozen=True)
class Acting:
    """How policies act.

    Attributes:
        start_step: Step of the clip at which the first episode begins; None for its snippet's first.
        act_noise: Standard deviation of the noise on their actions at first.
        seed: Of everything that is drawn, at first.
        device: Where networks run.
        threshold: Termination error at which an episode fails.
        prompt_length: Control steps of the prompt that a GPT goes on from.
        max_steps: Control steps of a GPT beyond the clip's end.
    """

    start_step: int | None = None
    act_noise: float = 0.0
    seed: int = 0
    device: str = "cpu"
    threshold: float = USUAL_THRESHOLD
    prompt_length: int = 32
    max_steps: int = 500


@dataclass(frozen=True)
class Repertoire:
    """What is looked at, and the snippets that it can show.

    Attributes:
        name: What is looked at.
        library: The clips.
        snippets: Clips as a whole, or snippets, by name.
        first: The snippet that is shown first; None for the first of them.
    """

    name: str
    library: ClipLibrary
    snippets: Sequence[str]
    first: str | None = None


class LiveSource(Source):
    """A policy that acts.

    Args:
        name: What is looked at.
        motions: What it can do.
        acting: How it acts.
        first: What is shown first.

    Raises:
        NotFoundError: That is none of the motions.
    """

    live = True

    def __init__(self, name: str, motions: Sequence[str], acting: Acting, *, first: str | None = None) -> None:
        self.acting = acting
        motion = first or motions[0]
        check_motion(motion, motions, self.motion_word)
        super().__init__(name, motions, Request(motion, 0, acting.start_step, acting.act_noise, acting.seed))

    @abstractmethod
    def stage(self, request: Request) -> Stage:
        """Put the policy into its environment."""

    def take(self, request: Request) -> Take:
        """Begin an episode."""
        stage = self.stage(request)
        return LiveTake(stage, stage.batch.task.steps_left(stage.plan[0].start) + 1 + self.beyond)

    beyond = 0
    """Control steps that an episode can have beyond its snippet's end."""


class TrackingSource(LiveSource):
    """A policy that tracks snippets.

    Args:
        repertoire: What it tracks.
        policy: The policy.
        acting: How it acts.

    Raises:
        UsageError: The policy sees what the environment does not give.
    """

    kind = "policy"

    def __init__(self, repertoire: Repertoire, policy: Policy, acting: Acting) -> None:
        super().__init__(repertoire.name, repertoire.snippets, acting, first=repertoire.first)
        check_sight(policy, repertoire.name)
        self._policy, self._library = policy, repertoire.library
        self._clips: dict[str, Clip] = {}

    def starts(self, motion: str) -> range:
        """Return the steps from which at least one is left to track."""
        snippet = self._snippet(motion)
        return range(snippet.start_step, snippet.end_step - max(self._who(motion).ref_steps))

    def stage(self, request: Request) -> Stage:
        """Put the policy into the environment in which it tracks a snippet."""
        policy, pairs, plan = self._who(request.motion), [self._pair(request.motion)], self._plan(request)
        config = TrackingConfig(
            ref_steps=policy.ref_steps, min_steps=1, termination_error_threshold=self.acting.threshold
        )
        batch = open_batch(pairs, plan, observables=policy.observables, config=config, threads=1, walker=get_walker())
        return Stage(
            request.motion,
            batch,
            plan,
            PolicyActor(policy, batch),
            self._charts(),
            act_noise=request.act_noise,
            seed=request.seed,
        )

    def _who(self, motion: str) -> Policy:  # noqa: ARG002 - the same for all
        return self._policy

    def _snippet(self, motion: str) -> Snippet:
        return self._library.resolve(motion)

    def _pair(self, motion: str) -> tuple[Clip, Snippet]:
        snippet = self._snippet(motion)
        if snippet.clip_id not in self._clips:
            self._clips = {snippet.clip_id: self._library.get(snippet.clip_id)}
        return self._clips[snippet.clip_id], snippet

    def _plan(self, request: Request) -> list[PlannedEpisode]:
        """Return the one episode, with the key of an evaluation's first."""
        possible = self.starts(request.motion)
        if not possible:
            raise UsageError(f"{request.motion} is too short for this policy.", hint="Choose a longer snippet.")
        wanted = possible[0] if request.start_step is None else request.start_step
        return [PlannedEpisode(Start(0, min(max(wanted, possible[0]), possible[-1])), (0,))]

    def _charts(self) -> tuple[Chart, ...]:
        return reward_chart(), error_chart(self.acting.threshold), channel_chart()


class ExpertSource(TrackingSource):
    """Experts, each of which tracks a snippet of its own; one is read when its snippet is chosen.

    Args:
        name: What is looked at.
        experts: Where they lie, at least one.
        library: The clips.
        acting: How they act.
        first: The snippet that is shown first.
    """

    kind = "expert"

    def __init__(
        self,
        name: str,
        experts: Sequence[ExpertLocation],
        library: ClipLibrary,
        acting: Acting,
        *,
        first: str | None = None,
    ) -> None:
        names = [str(place.snippet) for place in experts]
        # Of several experts of one snippet, the folder says which it is.
        self._places = {
            told if names.count(told) == 1 else f"{told} ({place.root.name})": place
            for told, place in zip(names, experts, strict=True)
        }
        chosen = next((motion for motion, place in self._places.items() if str(place.snippet) == first), first)
        opened = load_expert(self._places.get(chosen or "", experts[0]), device=acting.device).policy
        self._loaded: dict[str, Policy] = {}
        super().__init__(Repertoire(name, library, list(self._places), chosen), opened, acting)

    def _who(self, motion: str) -> Policy:
        if motion not in self._loaded:
            self._loaded = {motion: load_expert(self._places[motion], device=self.acting.device).policy}
        return self._loaded[motion]

    def _snippet(self, motion: str) -> Snippet:
        return self._library.resolve(str(self._places[motion].snippet))


class CompletionSource(TrackingSource):
    """A policy that sees its body alone and goes on from a prompt, beyond the snippet's end.

    Args:
        repertoire: What prompts are taken from.
        policy: The policy.
        acting: How it acts.
        prompter: Gives who acts during the prompt, by the snippet's name; by default the controller `PROMPTER` does.
    """

    kind = "completion"

    def __init__(
        self,
        repertoire: Repertoire,
        policy: Policy,
        acting: Acting,
        prompter: Callable[[str], Prompt] | None = None,
    ) -> None:
        super().__init__(repertoire, policy, acting)
        self._prompter, self.beyond = prompter, acting.max_steps

    def starts(self, motion: str) -> range:
        """Return the steps from which a whole prompt lies in the snippet."""
        snippet = self._snippet(motion)
        return range(snippet.start_step, snippet.end_step - self.acting.prompt_length + 1)

    def stage(self, request: Request) -> Stage:
        """Put the policy and who gives the prompt into the environment in which it goes on."""
        plan, length = self._plan(request), self.acting.prompt_length
        prompt = self._prompter(request.motion) if self._prompter else None
        cast = Cast(prompt=prompt.policy if prompt else None, goes_on=self._policy)
        settings = TrackingConfig(ref_steps=cast.ref_steps or (0,), termination_error_threshold=self.acting.threshold)
        pair = (prompt.clip, prompt.snippet) if prompt else self._pair(request.motion)
        task = CompletionTask([pair], settings, prompt_length=length, max_steps=self.acting.max_steps)
        batch = _alone(task, cast.observables, plan)
        by_itself = None if prompt else make_baseline(PROMPTER, batch, plan, request.seed)
        actor = (
            make_actor(batch, cast, length)
            if by_itself is None
            else CompletionActor(by_itself, PolicyActor(self._policy, batch), length)
        )
        return Stage(
            request.motion,
            batch,
            plan,
            actor,
            self._charts(),
            act_noise=request.act_noise,
            noise_from=length,
            seed=request.seed,
        )


class TaskSource(LiveSource):
    """A policy for a task, with what it is told to do.

    Args:
        name: What is looked at.
        subject: The policy and its task.
        acting: How it acts.
    """

    kind = "task"
    motion_word = "Task"

    def __init__(self, name: str, subject: TransferSubject, acting: Acting) -> None:
        super().__init__(name, [subject.task.name], acting)
        self._subject = subject

    def stage(self, request: Request) -> Stage:
        """Put the policy into its task."""
        policy, plan = self._subject.loaded.policy, plan_episodes(1, request.seed)
        return Stage(
            request.motion,
            _alone(self._subject.task, policy.observables, plan),
            plan,
            DecodedActor(policy),
            (reward_chart(),),
            act_noise=request.act_noise,
            seed=request.seed,
            tracks=False,
        )


def _alone(task: TrackingTask, observables: Sequence[str], plan: Sequence[PlannedEpisode]) -> TrackingBatch:
    """Return a batch of one environment; it has the floor of completions, so that nobody comes to its edge."""
    walker = get_walker(ARENA) if isinstance(task, CompletionTask) else None
    return open_batch(task, plan, observables=observables, num_envs=1, threads=1, walker=walker)
