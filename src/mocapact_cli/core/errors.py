"""The exceptions that mocapact raises on purpose, and what names the files that they are about.

Each carries one clear sentence (what is wrong, and where) and a `hint`: what to do next. The command line maps their
types to exit codes.
"""

from __future__ import annotations

import contextlib
import difflib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence


class MocapactError(Exception):
    """Base of every error that is meant to be read by a user.

    Args:
        message: What is wrong and where, in one line.
        hint: What to do next; empty where nothing better than the message can be said.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RunError(MocapactError):
    """Something failed while running: network, disk, a diverged training run."""


class MissingDependencyError(RunError):
    """A Python extra or a system package is missing; the hint names it."""


class InterruptedRunError(MocapactError):
    """The user stopped a run that saved itself; the hint is the command that resumes it."""


class UsageError(MocapactError):
    """The request itself is wrong: options that contradict each other, an unknown configuration key."""


class NotFoundError(MocapactError):
    """A file, clip, snippet or blob does not exist."""


class InvalidInputError(MocapactError):
    """A file is corrupt, truncated, hostile or not what it claims to be."""


class AccessError(MocapactError):
    """Access was denied or has expired."""


@contextlib.contextmanager
def naming(source: object) -> Iterator[None]:
    """Give errors about what a file holds the file's name, where they have none.

    Raises:
        InvalidInputError: One was raised inside the block; now it names the file.
    """
    try:
        yield
    except InvalidInputError as error:
        if str(source) in error.message:
            raise
        raise InvalidInputError(f"{source}: {error.message}", hint=error.hint) from error


@contextlib.contextmanager
def naming_os_errors(path: Path | str, *, instead_of: Path | None = None) -> Iterator[None]:
    """Give errors of the operating system inside the block the name of the file, where they have none.

    A failed write has none by itself: a full disk would not say where.

    Args:
        path: The name.
        instead_of: Another name that is replaced by it, as are names inside it.

    Raises:
        OSError: One was raised inside the block; now it names the file.
    """
    try:
        yield
    except OSError as error:
        name = error.filename
        if name is None or (instead_of and isinstance(name, str) and _is_in(Path(name), instead_of)):
            error.filename = str(path)
        raise


def _is_in(path: Path, folder: Path) -> bool:
    """Whether a path is `folder` or inside it, however the two are written."""
    return path.absolute().is_relative_to(folder.absolute())


def nearest_names(name: str, known: Iterable[str], *, count: int = 3) -> list[str]:
    """Return up to `count` of the `known` names that look most like `name`, best first."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=0.6)


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says, without its period; the name of its class if it says nothing."""
    # A KeyError says what it was raised with in quotation marks.
    said = error.args[0] if isinstance(error, KeyError) and error.args else error
    lines = str(said).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".")


def class_and_line(error: BaseException) -> str:
    """Return the class of an exception that nobody expected and the first line of what it says, if it says anything."""
    name, line = type(error).__name__, first_line(error)
    return name if line == name else f"{name}: {line}"


def check_known(name: str, known: Collection[str], word: str) -> None:
    """See that a name is one of those that there are.

    Args:
        name: What was asked for.
        known: All there are.
        word: What they are names of, such as `model`.

    Raises:
        UsageError: It is none of them.
    """
    if name not in known:
        hint = did_you_mean(name, known) or f"Choose from {', '.join(known)}."
        raise UsageError(f"There is no {word} {name!r}.", hint=hint)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean a, b or c?" for the names nearest to `name`, or an empty string where nothing is near."""
    names = nearest_names(name, known)
    return f"Did you mean {one_of(names)}?" if names else ""


def one_of(names: Sequence[str]) -> str:
    """Return "a, b or c"; of one name the name."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
