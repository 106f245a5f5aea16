"""Threads that fetch files together: a large one in pieces, small ones side by side."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from mocapact_cli.core.remote.download import StoppedError
from mocapact_cli.core.remote.partial import AbandonedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mocapact_cli.core.remote.download import Download, Piece

_FAREWELL_S = 1.0
"""Seconds that threads get to end; one that waits for the network may need more, and is left behind."""


class Crew:
    """Fetches files with some threads; the first failure ends all of it.

    Args:
        downloads: The files.
        jobs: Threads, each with a connection at most.
        stop: Set when the work is to end.
    """

    def __init__(self, downloads: Sequence[Download], jobs: int, stop: threading.Event) -> None:
        self._waiting, self._jobs, self._stop = deque(downloads), jobs, stop
        self._open: list[Download] = []
        self._ready = threading.Condition()
        self._busy = 0
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Fetch all files; whatever ends this early, all that came is saved.

        Raises:
            Exception: The first failure of any thread.
            KeyboardInterrupt: After Ctrl-C.
        """
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._jobs)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
        finally:
            self._end(threads)
        if self._failure is not None:
            raise self._failure

    def _end(self, threads: Sequence[threading.Thread]) -> None:
        self._stop.set()
        with self._ready:
            self._ready.notify_all()
        deadline = time.monotonic() + _FAREWELL_S
        try:
            for thread in threads:
                if thread.ident is not None:
                    thread.join(max(0.0, deadline - time.monotonic()))
        finally:
            ended = not any(thread.is_alive() for thread in threads)
            for download in list(self._open):
                download.close()
                if ended:
                    download.release()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                task()
            except (StoppedError, AbandonedError):
                pass
            except BaseException as error:  # noqa: BLE001 - it is raised again where the work was started
                self._fail(error)
            finally:
                with self._ready:
                    self._busy -= 1
                    self._ready.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._ready:
            self._failure = self._failure or error
            self._stop.set()

    def _next(self) -> Callable[[], None] | None:
        """Something to do; None where nothing is left, or all is to end."""
        with self._ready:
            while not self._stop.is_set():
                task = self._piece() or self._file()
                if task is not None:
                    self._busy += 1
                    return task
                if not self._busy:
                    self._ready.notify_all()
                    return None
                self._ready.wait()
        return None

    def _piece(self) -> Callable[[], None] | None:
        # Files that have been begun come first: what is complete is safe.
        for download in self._open:
            piece = download.next_piece()
            if piece is not None:
                download.active += 1
                return functools.partial(self._fetch, download, piece)
        return None

    def _file(self) -> Callable[[], None] | None:
        if not self._waiting:
            return None
        download = self._waiting.popleft()
        return functools.partial(self._begin, download)

    def _begin(self, download: Download) -> None:
        if not download.open():
            return
        with self._ready:
            self._open.append(download)
            download.active += 1
        self._settle(download)

    def _fetch(self, download: Download, piece: Piece) -> None:
        download.fetch(piece)
        self._settle(download)

    def _settle(self, download: Download) -> None:
        """Leave a file; the last one to leave it puts it in its place."""
        with self._ready:
            download.active -= 1
            complete = not download.active and not download.pieces
            self._ready.notify_all()
        if complete:
            download.finish()
            with self._ready:
                self._open.remove(download)
