"""The command that continues what Ctrl-C stopped."""

from __future__ import annotations

import shlex
import sys


def resume_command() -> str:
    """The command line of this process with ``--resume``."""
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--force", "--resume")]
    return shlex.join(["mocapact", *arguments, "--resume"])
