"""One look at something: made in a thread of its own, not waited for too long; what goes wrong in it is a finding."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import class_and_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mocapact_cli.core.doctor.findings import Finding, Subject

LIMIT_S = 20.0
"""Seconds that a look may take unless it says otherwise."""


@dataclass(frozen=True)
class Check:
    """One look at something.

    Attributes:
        subject: Where its findings belong.
        name: What it looks at.
        look: Returns what it found.
        limit_s: Seconds after which nobody waits for it any longer.
    """

    subject: Subject
    name: str
    look: Callable[[], Iterable[Finding]]
    limit_s: float = LIMIT_S


class Look:
    """A check that is being made.

    Args:
        check: What is looked at; it begins at once.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._answers: queue.SimpleQueue[list[Finding]] = queue.SimpleQueue()
        # The program's end does not wait for one that hangs.
        threading.Thread(target=self._work, name=f"doctor {check.name}", daemon=True).start()

    def findings(self, passed_s: float) -> list[Finding]:
        """Wait for what was found, for as long as the check's limit allows.

        Args:
            passed_s: Seconds since it began.
        """
        check = self._check
        try:
            return self._answers.get(timeout=max(0.0, check.limit_s - passed_s))
        except queue.Empty:
            text = f"gave no answer within {check.limit_s:g} s"
            return [check.subject.warning(check.name, text, "Run `mocapact doctor` again; the machine may be busy.")]

    def _work(self) -> None:
        check = self._check
        found: list[Finding] = []
        try:
            found.extend(check.look())
        except BaseException as error:  # noqa: BLE001 - a look that fails is a finding, too
            text = f"could not be looked at: {class_and_line(error)}"
            found.append(
                check.subject.warning(check.name, text, "This is a defect of `mocapact doctor`: please report it.")
            )
        self._answers.put(found)
