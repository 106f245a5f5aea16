"""Trying again: how often, after how long, and when to give up."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from mocapact_cli.core.errors import RunError
from mocapact_cli.core.remote.files import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.remote.files import RemoteFile, Source

T = TypeVar("T")

_SAY_FROM_S = 5.0
"""Seconds of a wait from which on it is explained; those before an unreachable server is given up are shorter."""

_TRY_LATER = "Run the same command later: it goes on from where it stopped."


class UnreachableError(TransientError):
    """No connection came about: no network, no such host, a dead proxy. Waiting for long seldom helps.

    Args:
        reason: One line without secrets.
        hint: What to do about it.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


@dataclass(frozen=True)
class Retries:
    """When an attempt that failed is made again: after waits that double, with jitter, or as long as the server asks.

    Attributes:
        tries: Failures in a row, without a byte between them, after which it is given up.
        tries_unreachable: The same where no connection comes about.
        first_s: Wait after the first failure in seconds.
        longest_s: Longest wait of its own choice.
        patience_s: Longest wait that a server may ask for.
        sleep: Waits; another one can be interrupted, or be instant in tests.
        on_wait: Is told the reason and the seconds before each wait.
    """

    tries: int = 8
    tries_unreachable: int = 4
    first_s: float = 1.0
    longest_s: float = 60.0
    patience_s: float = 600.0
    sleep: Callable[[float], object] = time.sleep
    on_wait: Callable[[str, float], object] = lambda _reason, _seconds: None
    random: Callable[[], float] = field(default=random.random)

    def attempts(self) -> Attempts:
        """A new count of failures."""
        return Attempts(self)

    def call(self, function: Callable[[], T]) -> T:
        """What a function returns, called again while it raises TransientError.

        Raises:
            RunError: It was given up.
        """
        attempts = self.attempts()
        while True:
            try:
                return function()
            except TransientError as error:
                failure = error
            attempts.failed(failure)


class Attempts:
    """Failures in a row of one piece of work."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self.failures = 0

    def moved(self) -> None:
        """Bytes came: the next failure is the first again."""
        self.failures = 0

    def failed(self, error: TransientError) -> None:
        """Wait as long as is right before the next attempt.

        Raises:
            RunError: There shall be no other one.
        """
        self.failures += 1
        self._check(error)
        wait = error.wait if error.wait is not None else self._back_off()
        self._retries.on_wait(error.reason, wait)
        self._retries.sleep(wait)

    def _back_off(self) -> float:
        retries = self._retries
        longest = min(retries.first_s * 2.0 ** (self.failures - 1), retries.longest_s)
        # Half of it is left to chance, so that many clients do not come back at the same moment.
        return longest * (0.5 + retries.random() / 2)

    def _check(self, error: TransientError) -> None:
        unreachable = isinstance(error, UnreachableError)
        if self.failures >= (self._retries.tries_unreachable if unreachable else self._retries.tries):
            hint = error.hint if isinstance(error, UnreachableError) else _TRY_LATER
            raise RunError(f"{capital(error.reason)}; given up after {self.failures} attempts.", hint=hint)
        if error.wait is not None and error.wait > self._retries.patience_s:
            raise RunError(f"{capital(error.reason)}, and asks to wait {error.wait / 60:.0f} minutes.", hint=_TRY_LATER)


def read_on(
    source: Source, file: RemoteFile, start: int = 0, stop: int | None = None, *, retries: Retries
) -> Iterator[bytes]:
    """The bytes of a range like `source.read`, which go on where a connection dropped.

    Raises:
        ChangedError: The source has another version now.
        RangeUnsupportedError: A connection dropped, or `start` is not 0, and the source ignores ranges.
        RunError: It was given up.
    """
    attempts = retries.attempts()
    while True:
        try:
            for piece in source.read(file, start, stop):
                start += len(piece)
                attempts.moved()
                yield piece
        except TransientError as error:
            failure = error
        else:
            return
        attempts.failed(failure)


def told(retries: Retries, progress: Progress) -> Retries:
    """The same, with a message before each wait that is long enough to be wondered at."""

    def say(reason: str, seconds: float) -> None:
        retries.on_wait(reason, seconds)
        if seconds >= _SAY_FROM_S:
            progress.message(f"{capital(reason)}; trying again in {seconds:.0f} s.")

    return replace(retries, on_wait=say)


def capital(text: str) -> str:
    """Return a reason as the beginning of a sentence; an address stays as it is."""
    return text if "://" in text.partition(" ")[0] else text[:1].upper() + text[1:]
