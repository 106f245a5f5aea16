"""What takes come from: a choice of motions, of their parts or episodes, and of how a policy acts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mocapact_cli.core.errors import NotFoundError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.viewer.takes import Take


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
        """Return the names of a motion's parts.

        Raises:
            MocapactError: They cannot be read; the message says why.
        """
        return ()

    def starts(self, motion: str) -> range:  # noqa: ARG002 - for those that have some
        """Return the steps of the clip at which a live episode may begin; empty where there is no choice."""
        return range(0)

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of files and threads."""


def check_motion(name: str, known: Sequence[str], word: str) -> None:
    """See that a motion is one of those that there are.

    Args:
        name: What was asked for.
        known: All there are.
        word: What motions are called here, such as `Snippet`.

    Raises:
        NotFoundError: It is not.
    """
    if name not in known:
        some = ", ".join(known[:3]) + (", ..." if len(known) > 3 else "")
        raise NotFoundError(
            f"There is no {word.lower()} {name!r} here.", hint=did_you_mean(name, known) or f"There are {some}."
        )
