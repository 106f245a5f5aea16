"""What takes come from: a choice of motions, of their parts or episodes, and of how a policy acts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mocapact_cli.core.clips.snippets import Snippet, cut
from mocapact_cli.core.errors import NotFoundError, did_you_mean
from mocapact_cli.core.viewer.recorded import clip_take, episode_take
from mocapact_cli.core.walker.model import get_walker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.library import ClipLibrary
    from mocapact_cli.core.datasets.reader import Rollouts, SnippetRollouts
    from mocapact_cli.core.viewer.takes import Take

WHOLE = "all of it"
"""The part of a clip that is the clip."""


@dataclass(frozen=True)
class Request:
    """Which take is wanted.

    Attributes:
        motion: One of the source's motions.
        part: Number of its part or episode; 0 where there are none.
        start_step: Step of the clip at which a live episode begins; None for the first.
        act_noise: Standard deviation of the noise on a policy's actions.
        seed: Of everything that is drawn.
    """

    motion: str
    part: int = 0
    start_step: int | None = None
    act_noise: float = 0.0
    seed: int = 0


class Source(ABC):
    """What takes come from.

    Attributes:
        name: What is looked at, for people.
        motions: Names of the motions that there are, at least one.
        first: What is shown first.
    """

    kind: ClassVar[str]
    """What it is: `clips`, `rollouts`, `expert`, `policy`, `completion` or `task`."""
    motion_word: ClassVar[str] = "Snippet"
    """What its motions are called."""
    part_word: ClassVar[str] = ""
    """What the parts of a motion are called; empty where it has none."""
    live: ClassVar[bool] = False
    """Whether a policy acts."""

    def __init__(self, name: str, motions: Sequence[str], first: Request | None = None) -> None:
        self.name, self.motions = name, tuple(motions)
        self.first = first or Request(self.motions[0])

    @abstractmethod
    def take(self, request: Request) -> Take:
        """Make a take.

        Raises:
            MocapactError: It cannot be made; the message says why.
        """

    def parts(self, motion: str) -> tuple[str, ...]:  # noqa: ARG002 - for those that have some
        """Return the names of a motion's parts."""
        return ()

    def starts(self, motion: str) -> range:  # noqa: ARG002 - for those that have some
        """Return the steps of the clip at which a live episode may begin; empty where there is no choice."""
        return range(0)

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of files and threads."""


class ClipSource(Source):
    """Clips of motion capture, each as a whole or in snippets.

    Args:
        name: What is looked at.
        library: The clips.
        ids: Those of them that are shown; all by default.
        first: What is shown first: a clip or a snippet, by name.

    Raises:
        NotFoundError: There is no such clip.
        InvalidInputError: The snippet lies outside its clip.
    """

    kind = "clips"
    motion_word, part_word = "Clip", "Part"

    def __init__(
        self, name: str, library: ClipLibrary, ids: Sequence[str] | None = None, first: str | None = None
    ) -> None:
        self._library = library
        self._wanted = library.resolve(first) if first is not None else None
        super().__init__(name, ids or library.ids())
        if self._wanted is not None:
            require(self._wanted.clip_id, self.motions, self.motion_word)
            clip_id = self._wanted.clip_id
            self.first = Request(clip_id, self._pieces(clip_id).index(self._wanted))

    @classmethod
    def of_clip(cls, clip: Clip, origin: str) -> ClipSource:
        """Show one clip that is in memory."""
        from mocapact_cli.core.clips.library import ClipLibrary

        return cls(clip.id, ClipLibrary({origin: _Single(clip)}))

    def parts(self, motion: str) -> tuple[str, ...]:
        """Return the whole clip and its snippets, by their steps."""
        whole, *pieces = self._pieces(motion)
        del whole
        return (WHOLE, *(f"steps {piece.start_step} to {piece.end_step}" for piece in pieces))

    def take(self, request: Request) -> Take:
        """Return a clip or a snippet of it."""
        piece = self._pieces(request.motion)[request.part]
        return clip_take(self._library.get(request.motion), piece)

    def _pieces(self, clip_id: str) -> list[Snippet]:
        last = self._library.num_steps(clip_id) - 1
        pieces = [Snippet(clip_id, 0, last), *cut(clip_id, last)]
        if self._wanted is not None and self._wanted.clip_id == clip_id:
            pieces.append(self._wanted)
        return list(dict.fromkeys(pieces))


class _Single:
    """The source of one clip."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip

    def table(self) -> dict[str, tuple[int, float]]:
        """Number of poses and seconds between them."""
        return {self._clip.id: (self._clip.num_steps, self._clip.dt)}

    def get(self, clip_id: str) -> Clip:  # noqa: ARG002 - there is only one
        """Return it."""
        return self._clip


class RolloutSource(Source):
    """Recorded episodes.

    Args:
        name: What is looked at.
        rollouts: The open files.
        first: The snippet that is shown first.
        episode: And the number of its episode.

    Raises:
        NotFoundError: There is no such snippet or episode, or there are none at all.
    """

    kind = "rollouts"
    part_word = "Episode"

    def __init__(self, name: str, rollouts: Rollouts, first: str | None = None, episode: int = 0) -> None:
        self._rollouts = rollouts
        if not rollouts.snippets:
            raise NotFoundError(f"{name} holds no episodes.", hint="Record some with `mocapact rollout`.")
        motion = first or rollouts.snippets[0]
        require(motion, rollouts.snippets, self.motion_word)
        count = len(rollouts[motion])
        if not 0 <= episode < count:
            raise NotFoundError(f"{motion} has episodes 0 to {count - 1}, not {episode}.", hint="Choose one of those.")
        super().__init__(name, rollouts.snippets, Request(motion, episode))

    def parts(self, motion: str) -> tuple[str, ...]:
        """Return its episodes: where they begin and what came of them."""
        episodes = self._rollouts[motion]
        return tuple(_told(episodes, index) for index in range(len(episodes)))

    def take(self, request: Request) -> Take:
        """Read an episode."""
        file = self._rollouts.file_of(request.motion)
        return episode_take(self._rollouts[request.motion][request.part], file.ref_steps, get_walker())

    def close(self) -> None:
        """Close the files."""
        self._rollouts.close()


def _told(episodes: SnippetRollouts, index: int) -> str:
    begins = "start" if episodes[index].from_start else "random"
    failed = ", failed" if episodes.early_termination[index] else ""
    return f"{index}: {begins}, norm. return {episodes.norm_returns[index]:.2f}{failed}"


def require(name: str, known: Sequence[str], word: str) -> None:
    """See that a motion is one of those that there are.

    Raises:
        NotFoundError: It is not.
    """
    if name not in known:
        some = ", ".join(known[:3]) + (", ..." if len(known) > 3 else "")
        raise NotFoundError(
            f"There is no {word.lower()} {name!r} here.", hint=did_you_mean(name, known) or f"There are {some}."
        )
