"""Ctrl-C and SIGTERM between two gradient steps, never inside one: half a step is nothing to save."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Notes the first signal, to be obeyed when the step is done; a second Ctrl-C interrupts at once.

    Used as a context; outside the main thread, which alone is told of signals, it does nothing.

    Args:
        ignored: Of several processes, those that end when the first one does hear none of it.

    Attributes:
        asked: Whether the process was asked to end.
    """

    def __init__(self, *, ignored: bool = False) -> None:
        self.asked = False
        self._handler = signal.SIG_IGN if ignored else self._note
        self._at_once = False

    def __enter__(self) -> Interrupts:
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        self.listen()
        return self

    def __exit__(self, *error: object) -> None:
        if _may_listen():
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def listen(self) -> None:
        """Listen again after others have put their handlers in place, as Lightning does."""
        if _may_listen():
            for number in _SIGNALS:
                signal.signal(number, self._handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let signals interrupt what runs inside the block, such as an evaluation."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of handlers
        again = self.asked and number == signal.SIGINT
        self.asked = True
        if again or self._at_once:
            raise KeyboardInterrupt


def _may_listen() -> bool:
    return threading.current_thread() is threading.main_thread()
