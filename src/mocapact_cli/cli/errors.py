"""From any exception to one message, one next step and one exit code."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import Any

import typer

from mocapact_cli.core.errors import (
    AccessError,
    InterruptedRunError,
    InvalidInputError,
    MocapactError,
    NotFoundError,
    RunError,
    UsageError,
    class_and_line,
    one_of,
)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

EXIT_CODES: dict[type[MocapactError], int] = {
    RunError: EXIT_FAILED,
    UsageError: EXIT_USAGE,
    NotFoundError: 3,
    InvalidInputError: 4,
    AccessError: 5,
    InterruptedRunError: EXIT_INTERRUPTED,
}
"""Error type (or the base of it) -> exit code."""

DEBUG_HINT = "Set MOCAPACT_DEBUG=1 for the traceback."


@dataclass(frozen=True)
class Failure:
    """A failure in the form that is shown.

    Attributes:
        kind: Stable name for programs: the exception's class.
        message: What is wrong and where.
        hint: What to do next; may be empty.
        exit_code: The process's exit code.
    """

    kind: str
    message: str
    hint: str
    exit_code: int


def describe(error: BaseException) -> Failure:
    """Return how an exception is reported to the user."""
    if isinstance(error, MocapactError):
        return Failure(type(error).__name__, error.message, error.hint, _exit_code(error))
    if isinstance(error, typer.TyperException):
        return _usage_failure(error)
    if isinstance(error, OSError):
        return _os_failure(error)
    if isinstance(error, MemoryError):
        hint = "Use fewer environments (--num-envs) or a smaller batch."
        return Failure("MemoryError", "There is not enough memory.", hint, EXIT_FAILED)
    return _unexpected(error)


def interrupted() -> Failure:
    """Return how a plain Ctrl-C is reported."""
    return Failure("Interrupted", "Interrupted.", "", EXIT_INTERRUPTED)


def _exit_code(error: MocapactError) -> int:
    return next((EXIT_CODES[base] for base in type(error).__mro__ if base in EXIT_CODES), EXIT_FAILED)


def _usage_failure(error: typer.TyperException) -> Failure:
    # The exceptions that the parser raises are private to Typer; what they carry is read by name.
    near: list[str] | None = getattr(error, "possibilities", None)
    message = error.message if near is not None else error.format_message()
    context: Any = getattr(error, "ctx", None)
    path = context.command_path if context else "mocapact"
    help_hint = f"Run `{path} --help` for what it takes."
    hint = f"Did you mean {one_of(near)}?" if near else help_hint
    return Failure("UsageError", message.replace("\n\t", " "), hint, EXIT_USAGE)


_OS_MESSAGES: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("The disk is full", "Free some space or choose another folder; finished files are intact."),
    errno.EDQUOT: ("The disk quota is used up", "Free some space or choose another folder; finished files are intact."),
    errno.EROFS: ("The file system is read-only", "Choose another folder, or set MOCAPACT_HOME to one you can write."),
    errno.EACCES: ("Permission denied", "Choose another folder, or set MOCAPACT_HOME to one you can write."),
    errno.EPERM: ("Permission denied", "Choose another folder, or set MOCAPACT_HOME to one you can write."),
    errno.EFBIG: ("The file would be larger than this system allows", "Raise the limit (`ulimit -f`)."),
    errno.EMFILE: ("Too many files are open", "Raise the limit with `ulimit -n`."),
}


def _os_failure(error: OSError) -> Failure:
    if isinstance(error, FileNotFoundError) and error.filename:
        return Failure(
            "NotFoundError", f"{error.filename} does not exist.", "Check the path.", EXIT_CODES[NotFoundError]
        )
    if error.errno not in _OS_MESSAGES:
        return _unexpected(error)
    text, hint = _OS_MESSAGES[error.errno]
    where = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
    return Failure("RunError", f"{text}{where}.", hint, EXIT_FAILED)


def _unexpected(error: BaseException) -> Failure:
    return Failure(type(error).__name__, f"Unexpected failure. {class_and_line(error)}", DEBUG_HINT, EXIT_FAILED)
