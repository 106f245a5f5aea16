"""TensorBoard records of Stable-Baselines3's numbers, written in the training thread.

TensorBoard's own writer has a thread; on a full disk that dies with a traceback of its own. Here the error reaches the
caller.
"""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter, Logger
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from mocapact_cli.core.paths import errors_name


def tensorboard_logger(folder: Path) -> Logger:
    """A logger for Stable-Baselines3 that writes to a new event file in a folder."""
    return Logger(str(folder), [ScalarWriter(folder)])


class ScalarWriter(KVWriter):
    """Writes numbers as TensorBoard scalars.

    Args:
        folder: where the event file lies; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # The names that TensorBoard looks for; the process's number tells apart files of one second.
        self.path = folder / f"events.out.tfevents.{int(time.time())}.{platform.node()}.{os.getpid()}"
        self._file = self.path.open("ab", buffering=0)
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Write all numbers of one step, but for those that exclude TensorBoard.

        Raises:
            OSError: the disk is full.
        """
        shown = {name: value for name, value in key_values.items() if "tensorboard" not in (key_excluded[name] or ())}
        values = [
            Summary.Value(tag=name, simple_value=float(value))
            for name, value in sorted(shown.items())
            if isinstance(value, int | float | np.number)
        ]
        self._write(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, event: Event) -> None:
        with errors_name(self.path):
            self._records.write(event.SerializeToString())
