"""Snippets: the stretches of a clip that one expert tracks, their names and the rule that cuts them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mocapact_cli.core.errors import InvalidInputError

MAX_STEPS = 210
"""A clip whose last step is at most this is one snippet; no piece of a longer clip exceeds it."""
OVERLAP = 33
"""Steps that neighbouring snippets share."""

KEPT_WHOLE = {"CMU_139_18": 233, "CMU_140_01": 227, "CMU_140_02": 257, "CMU_140_08": 246, "CMU_140_09": 223}
"""Clips of people getting up that the paper does not cut although they are longer, and their last steps."""

_NAME = re.compile(r"(?P<clip>.+)-(?P<start>\d{1,9})-(?P<end>\d{1,9})", re.ASCII)


@dataclass(frozen=True, order=True)
class Snippet:
    """A stretch of a clip, both ends included.

    Attributes:
        clip_id: The clip, such as `CMU_016_22`.
        start_step: First control step, at least 0.
        end_step: Last control step, after the first.

    Raises:
        InvalidInputError: The range is empty or negative.
    """

    clip_id: str
    start_step: int
    end_step: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_step < self.end_step:
            raise InvalidInputError(
                f"Snippet {self} is empty: it must start at step 0 or later and end after its start.",
                hint="Snippets are named CLIP-START-END, such as CMU_016_22-0-82.",
            )

    def __str__(self) -> str:
        return f"{self.clip_id}-{self.start_step}-{self.end_step}"

    @property
    def num_steps(self) -> int:
        """Poses in the snippet."""
        return self.end_step - self.start_step + 1

    @classmethod
    def parse(cls, text: str) -> Snippet:
        """Read a name such as `CMU_016_22-0-82`.

        Raises:
            InvalidInputError: The text is not of that form, or the range is empty.
        """
        match = _NAME.fullmatch(text)
        if match is None:
            raise InvalidInputError(
                f"{text!r} is not the name of a snippet.", hint="Write CLIP-START-END, such as CMU_016_22-0-82."
            )
        return cls(match["clip"], int(match["start"]), int(match["end"]))


def snippet_named(text: str) -> Snippet | None:
    """Read a snippet's name; None where the text is not one."""
    try:
        return Snippet.parse(text)
    except InvalidInputError:
        return None


def clip_of(name: str) -> str:
    """Return the clip of a clip or snippet, whose own name may have dashes."""
    snippet = snippet_named(name)
    return snippet.clip_id if snippet else name


def cut(clip_id: str, last_step: int) -> list[Snippet]:
    """Cut a clip into snippets by the rule of MoCapAct (Wagener et al. 2022), as read off its published snippets.

    A clip of up to 210 steps stays whole. A longer one is cut into n equal strides, each piece reaching 33 steps past
    its stride, the last one to the clip's end: n is the smallest for which no piece is longer than 210 steps.

    Args:
        last_step: The clip's last step, its number of poses less one; at least 1.
    """
    if last_step <= MAX_STEPS or KEPT_WHOLE.get(clip_id) == last_step:
        return [Snippet(clip_id, 0, last_step)]
    pieces = -(-(last_step - OVERLAP) // (MAX_STEPS - OVERLAP))
    while last_step - (pieces - 1) * ((last_step - OVERLAP) // pieces) > MAX_STEPS:
        pieces += 1
    stride = (last_step - OVERLAP) // pieces
    starts = [index * stride for index in range(pieces)]
    return [Snippet(clip_id, start, last_step if start == starts[-1] else start + stride + OVERLAP) for start in starts]
