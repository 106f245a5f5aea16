"""Choosing the part of a clip that an expert tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocapact_cli.core.clips.snippets import MAX_STEPS, Snippet
from mocapact_cli.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mocapact_cli.core.clips.library import ClipLibrary


def choose_snippet(library: ClipLibrary, name: str, start_step: int = 0, max_steps: int = MAX_STEPS) -> Snippet:
    """The snippet of that name, or the part of the clip of that name that begins at a step.

    Args:
        library: The clips at hand.
        name: A clip or a snippet.
        start_step: First step of the clip to track; for a snippet its own start wins.
        max_steps: Steps to track at most; may be larger than the clip.

    Raises:
        NotFoundError: There is no such clip.
        InvalidInputError: The part lies outside the clip.
    """
    found = library.resolve(name)
    if str(found) == name:
        return found
    if start_step >= found.end_step:
        raise InvalidInputError(
            f"{name} has steps 0 to {found.end_step}; it cannot be tracked from step {start_step} on.",
            hint="Choose a smaller --start-step.",
        )
    return Snippet(found.clip_id, start_step, min(found.end_step, start_step + max_steps))
