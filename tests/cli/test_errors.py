import errno

import pytest

from mocapact_cli.cli.errors import describe, interrupted
from mocapact_cli.core import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.RunError, 1),
        (errors.MissingDependencyError, 1),
        (errors.UsageError, 2),
        (errors.NotFoundError, 3),
        (errors.InvalidInputError, 4),
        (errors.AccessError, 5),
        (errors.InterruptedRunError, 130),
        (errors.MocapactError, 1),
    ],
)
def test_every_error_type_has_its_exit_code(kind, code):
    failure = describe(kind("What.", hint="Next."))
    assert (failure.kind, failure.message, failure.hint, failure.exit_code) == (kind.__name__, "What.", "Next.", code)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk is full: /x/y."),
        (errno.EROFS, "The file system is read-only: /x/y."),
        (errno.EACCES, "Permission denied: /x/y."),
        (errno.EPERM, "Permission denied: /x/y."),
    ],
)
def test_trouble_with_the_disk_is_named_with_its_place(number, words):
    failure = describe(OSError(number, "text", "/x/y"))
    assert (failure.message, failure.exit_code) == (words, 1)
    assert failure.hint


def test_a_full_disk_without_a_name():
    assert describe(OSError(errno.ENOSPC, "No space left on device")).message == "The disk is full."


def test_a_file_that_is_not_there_is_not_found():
    failure = describe(FileNotFoundError(errno.ENOENT, "No such file", "a.amc"))
    assert (failure.kind, failure.message, failure.exit_code) == ("NotFoundError", "a.amc does not exist.", 3)


def test_other_os_errors_are_unexpected():
    failure = describe(OSError("odd"))
    assert (failure.exit_code, failure.hint) == (1, "Set MOCAPACT_DEBUG=1 for the traceback.")


def test_an_exception_without_words_is_named():
    assert describe(RuntimeError()).message == "Unexpected failure. RuntimeError"


def test_no_memory_has_a_next_step():
    assert "--num-envs" in describe(MemoryError()).hint


def test_interrupted():
    assert interrupted().exit_code == 130
