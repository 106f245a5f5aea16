"""Many small requests at once, in threads that never keep the program from ending."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
R = TypeVar("R")


def ask_all(function: Callable[[T], R], items: Sequence[T], threads: int) -> Iterator[R]:
    """What a function returns for each item, in their order.

    A pool of the standard library waits at the program's end for threads that hang on the network; these are left
    behind. After the first exception, which is raised, and when the caller stops, nothing further is asked.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[int, R | None, BaseException | None]] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                answers.put((index, function(items[index]), None))
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is wanted
                stop.set()
                answers.put((index, None, error))

    for index in range(len(items)):
        waiting.put(index)
    for _ in range(min(threads, len(items))):
        threading.Thread(target=work, daemon=True).start()
    try:
        yield from _in_order(answers, len(items))
    finally:
        stop.set()


def _in_order(answers: queue.SimpleQueue[tuple[int, R | None, BaseException | None]], count: int) -> Iterator[R]:
    early: dict[int, R] = {}
    for wanted in range(count):
        while wanted not in early:
            index, answer, error = answers.get()
            if error is not None:
                raise error
            early[index] = answer  # type: ignore[assignment]
        yield early.pop(wanted)
