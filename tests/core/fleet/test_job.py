from __future__ import annotations

import errno

import pytest

from mocapact_cli.core.errors import InvalidInputError, MissingDependencyError, NotFoundError, RunError, UsageError
from mocapact_cli.core.fleet.job import SpokenProgress, description_of


@pytest.mark.parametrize(
    ("error", "retry"),
    [
        (NotFoundError("no clip"), False),
        (UsageError("no"), False),
        (InvalidInputError("damaged"), False),
        (MissingDependencyError("no OpenGL"), False),
        (RunError("diverged"), True),
        (ValueError("strange"), True),
    ],
)
def test_what_would_fail_again_is_not_tried_again(error: Exception, retry: bool) -> None:
    said = description_of(error)
    assert (said["retry"], said["disk_full"], said["type"]) == (retry, False, type(error).__name__)
    assert str(error) in said["message"]


def test_a_full_disk_is_known_behind_other_errors() -> None:
    error = RunError("The file could not be written.")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device", "x")
    assert description_of(error)["disk_full"]


def test_progress_is_said_and_messages_go_to_the_log(capsys) -> None:
    said: list[dict] = []
    progress = SpokenProgress(said.append)
    with progress.task("Training", total=10, unit="steps") as task:
        task.update(completed=4, length="0.5")
        task.advance()
    # The second change comes too soon after the first to be told by itself.
    assert said == [{"progress": {"done": 4, "total": 10, "unit": "steps", "length": "0.5"}}]
    progress.message("normalized length 0.6")
    assert "normalized length 0.6" in capsys.readouterr().err
