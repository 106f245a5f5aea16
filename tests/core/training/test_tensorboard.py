from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mocapact_cli.core.training.tensorboard import ScalarWriter, tensorboard_logger


def test_tensorboard_reads_what_was_logged(tmp_path: Path) -> None:
    logger = tensorboard_logger(tmp_path / "tensorboard")
    for step in (128, 256):
        logger.record("eval/norm_length", np.float64(step / 256))
        logger.record("time/iterations", 1, exclude="tensorboard")
        logger.record("note", "not a number")
        logger.dump(step)
    logger.close()
    seen = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert seen.Tags()["scalars"] == ["eval/norm_length"]
    assert [(event.step, event.value) for event in seen.Scalars("eval/norm_length")] == [(128, 0.5), (256, 1.0)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_an_error_in_the_calling_thread(tmp_path: Path) -> None:
    writer = ScalarWriter(tmp_path)
    os.dup2(os.open("/dev/full", os.O_WRONLY), writer._file.fileno())
    with pytest.raises(OSError, match="events") as caught:
        writer.write({"a": 1.0}, {"a": ()}, 1)
    assert caught.value.errno == errno.ENOSPC
    writer.close()
