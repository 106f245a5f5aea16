"""TensorBoard records, written in the calling thread.

TensorBoard's own writer has a thread; on a full disk that dies with a traceback of its own. Here the error reaches the
caller.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from mocapact_cli.core.errors import naming_os_errors


class EventFile:
    """A file of scalars that TensorBoard reads.

    Args:
        folder: Where the file lies; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # The names that TensorBoard looks for; the process's number tells apart files of one second.
        self.path = folder / f"events.out.tfevents.{int(time.time())}.{platform.node()}.{os.getpid()}"
        self._file = self.path.open("ab", buffering=0)
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Write the numbers of one step by name.

        Raises:
            OSError: The disk is full.
        """
        scalars = [Summary.Value(tag=name, simple_value=float(value)) for name, value in sorted(values.items())]
        self._write(Event(wall_time=time.time(), step=step, summary=Summary(value=scalars)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, event: Event) -> None:
        with naming_os_errors(self.path):
            self._records.write(event.SerializeToString())
