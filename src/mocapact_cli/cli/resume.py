"""The command that continues what Ctrl-C stopped."""

from __future__ import annotations

import contextlib
import shlex
import sys
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Iterator


def resume_command(*more: str) -> str:
    """The command line of this process with ``--resume``, and what was chosen for it."""
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--force", "--resume")]
    return shlex.join(["mocapact", *arguments, *more, "--resume"])


@contextlib.contextmanager
def naming_the_way_on(*more: str) -> Iterator[None]:
    """Add the command that continues to the message after Ctrl-C, with options that were chosen for the user."""
    try:
        yield
    except InterruptedRunError as error:
        raise InterruptedRunError(error.message, hint=f"Continue with: {resume_command(*more)}") from error
