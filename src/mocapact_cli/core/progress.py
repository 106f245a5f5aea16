"""How long work reports where it stands, without knowing who listens."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class ProgressTask(Protocol):
    """One bar: a count that grows, towards a total if that is known."""

    def advance(self, n: float = 1) -> None:
        """Add `n` units of done work."""

    def update(
        self,
        completed: float | None = None,
        total: float | None = None,
        description: str | None = None,
        **fields: str,
    ) -> None:
        """Set what has changed; `fields` are short texts shown at the end of the bar, such as `reward="0.71"`."""


class Progress(Protocol):
    """A listener for long work."""

    def task(
        self, description: str, total: float | None = None, unit: str = "it"
    ) -> AbstractContextManager[ProgressTask]:
        """Open one bar for the duration of the `with` block; `unit` names what is counted (`steps`, `frames`)."""

    def message(self, text: str) -> None:
        """Say one line that stays, such as the result of an evaluation."""


class NullTask:
    """A task that nobody watches."""

    def advance(self, n: float = 1) -> None:
        """Do nothing."""

    def update(
        self,
        completed: float | None = None,
        total: float | None = None,
        description: str | None = None,
        **fields: str,
    ) -> None:
        """Do nothing."""


class NullProgress:
    """A progress listener that shows nothing: the default of every function of core."""

    def task(
        self,
        description: str,  # noqa: ARG002 - the signature is the protocol's
        total: float | None = None,  # noqa: ARG002
        unit: str = "it",  # noqa: ARG002
    ) -> AbstractContextManager[ProgressTask]:
        """Open a task that shows nothing."""
        return contextlib.nullcontext(NullTask())

    def message(self, text: str) -> None:
        """Do nothing."""
