"""TensorBoard records of Stable-Baselines3's numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter, Logger

from mocapact_cli.core.training.event_file import EventFile


def tensorboard_logger(folder: Path) -> Logger:
    """A logger for Stable-Baselines3 that writes to a new event file in a folder."""
    return Logger(str(folder), [ScalarWriter(folder)])


class ScalarWriter(EventFile, KVWriter):
    """Writes numbers as TensorBoard scalars.

    Args:
        folder: Where the event file lies; made if need be.
    """

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Write all numbers of one step, but for those that exclude TensorBoard.

        Raises:
            OSError: The disk is full.
        """
        shown = {name: value for name, value in key_values.items() if "tensorboard" not in (key_excluded[name] or ())}
        self.add(
            {name: float(value) for name, value in shown.items() if isinstance(value, int | float | np.number)}, step
        )
