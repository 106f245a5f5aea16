"""Sources of what has been recorded: clips of motion capture, and episodes of rollouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocapact_cli.core.clips.snippets import Snippet, cut
from mocapact_cli.core.errors import NotFoundError
from mocapact_cli.core.safe.h5 import damage_named
from mocapact_cli.core.viewer.recorded_takes import clip_take, episode_take
from mocapact_cli.core.viewer.sources import Request, Source, check_motion
from mocapact_cli.core.walker.model import get_walker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.library import ClipLibrary
    from mocapact_cli.core.datasets.reader import Episode, Rollouts
    from mocapact_cli.core.viewer.takes import Take

WHOLE = "all of it"
"""The part of a clip that is the clip."""


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
            check_motion(self._wanted.clip_id, self.motions, self.motion_word)
            clip_id = self._wanted.clip_id
            self.first = Request(clip_id, self._pieces(clip_id).index(self._wanted))

    @classmethod
    def of_clip(cls, clip: Clip, origin: str) -> ClipSource:
        """Show one clip that is in memory.

        Args:
            clip: The clip.
            origin: Where it comes from, for people.
        """
        from mocapact_cli.core.clips.library import ClipLibrary

        return cls(clip.id, ClipLibrary({origin: _OneClip(clip)}))

    def parts(self, motion: str) -> tuple[str, ...]:
        """Return the whole clip and its snippets, by their steps."""
        return (WHOLE, *(f"steps {piece.start_step} to {piece.end_step}" for piece in self._pieces(motion)[1:]))

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


class _OneClip:
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
        check_motion(motion, rollouts.snippets, self.motion_word)
        count = len(rollouts[motion])
        if not 0 <= episode < count:
            raise NotFoundError(f"{motion} has episodes 0 to {count - 1}, not {episode}.", hint="Choose one of those.")
        super().__init__(name, rollouts.snippets, Request(motion, episode))

    def parts(self, motion: str) -> tuple[str, ...]:
        """Return its episodes: where they begin and what came of them.

        Raises:
            InvalidInputError: The file is damaged.
        """
        with damage_named(self._rollouts.file_of(motion).path):
            episodes = self._rollouts[motion]
            results = zip(episodes, episodes.norm_returns, strict=True)
            return tuple(_episode_label(episode, norm_return) for episode, norm_return in results)

    def take(self, request: Request) -> Take:
        """Read an episode.

        Raises:
            InvalidInputError: The file is damaged, or does not say where the walker was.
        """
        file = self._rollouts.file_of(request.motion)
        with damage_named(file.path):
            return episode_take(file[request.motion][request.part], file.ref_steps, get_walker())

    def close(self) -> None:
        """Close the files."""
        self._rollouts.close()


def _episode_label(episode: Episode, norm_return: float) -> str:
    begins = "start" if episode.from_start else "random"
    failed = ", failed" if episode.early_termination else ""
    return f"{episode.index}: {begins}, norm. return {norm_return:.2f}{failed}"
