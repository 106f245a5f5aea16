"""Rounds of a measurement: as many as its time allows, after one that only warms up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mocapact_cli.core.progress import Progress


def rounds_in_time(progress: Progress, *, least: int, most: int, seconds: float) -> Iterator[int]:
    """Yield the number of each round that is to be measured: 0 for the one that only warms up, then from 1 on.

    Args:
        progress: Told of every round.
        least: Rounds that are measured however long they take.
        most: Rounds at most.
        seconds: After these no further round begins.
    """
    begun = time.perf_counter()
    with progress.task("Measuring", most + 1, "rounds") as task:
        for number in range(most + 1):
            if number > least and time.perf_counter() - begun > seconds:
                break
            yield number
            task.advance()
