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
    """The command line of this process with `--resume`, and what was chosen for it."""
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--force", "--resume")]
    return shlex.join(["mocapact", *arguments, *more, "--resume"])


@contextlib.contextmanager
def naming_the_way_on(command: str, *, kept: str = "") -> Iterator[None]:
    """Name the command that goes on in the message after Ctrl-C.

    Args:
        command: That command.
        kept: What is kept where Ctrl-C comes as such, such as `complete clips are kept`; by default it passes on.

    Raises:
        InterruptedRunError: Ctrl-C has ended the block.
    """
    hint = f"Continue with: {command}"
    try:
        yield
    except InterruptedRunError as error:
        raise InterruptedRunError(error.message, hint=hint) from error
    except KeyboardInterrupt as error:
        if not kept:
            raise
        raise InterruptedRunError(f"Interrupted; {kept}.", hint=hint) from error
