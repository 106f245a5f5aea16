import errno
from pathlib import Path

import pytest

from mocapact_cli.core.errors import (
    InvalidInputError,
    MissingDependencyError,
    MocapactError,
    NotFoundError,
    RunError,
    UsageError,
    check_known,
    class_and_line,
    did_you_mean,
    first_line,
    naming,
    naming_os_errors,
    nearest_names,
)


def test_an_error_carries_message_and_hint():
    error = NotFoundError("There is no clip X.", hint="Try Y.")
    assert (str(error), error.message, error.hint) == ("There is no clip X.", "There is no clip X.", "Try Y.")


def test_the_hint_is_empty_unless_given():
    assert InvalidInputError("Broken.").hint == ""


def test_a_missing_dependency_is_a_failed_run():
    assert issubclass(MissingDependencyError, RunError)
    assert issubclass(RunError, MocapactError)


def test_nearest_names_come_best_first():
    assert nearest_names("demo_wlak", ["demo_squat", "demo_walk", "other"])[0] == "demo_walk"


@pytest.mark.parametrize(("name", "answer"), [("sede", "Did you mean seed?"), ("qqqqqq", "")])
def test_did_you_mean(name, answer):
    assert did_you_mean(name, ["seed", "threads"]) == answer


def test_errors_about_a_file_name_it_once() -> None:
    for message, expected in (("It is cut.", "a.zip: It is cut."), ("a.zip is cut.", "a.zip is cut.")):
        with pytest.raises(InvalidInputError) as caught, naming(Path("a.zip")):
            raise InvalidInputError(message, hint="Copy it again.")
        assert (caught.value.message, caught.value.hint) == (expected, "Copy it again.")
    with pytest.raises(NotFoundError, match=r"^gone$"), naming("a.zip"):
        raise NotFoundError("gone")


def test_errors_of_the_system_name_a_file_where_they_have_no_name_or_a_temporary_one(tmp_path):
    inside = str(tmp_path / "new" / "part")
    for name, expected in ((None, "final"), (inside, "final"), ("other", "other")):
        with pytest.raises(OSError) as caught, naming_os_errors("final", instead_of=tmp_path / "new"):
            raise OSError(errno.ENOSPC, "No space left on device", name)
        assert caught.value.filename == expected


def test_an_unknown_name_is_refused_with_the_nearest_or_with_all():
    check_known("pd", ("zero", "pd"), "baseline")
    with pytest.raises(UsageError, match=r"^There is no baseline 'pid'\.$") as near:
        check_known("pid", ("zero", "pd"), "baseline")
    with pytest.raises(UsageError) as far:
        check_known("qqqq", ("zero", "pd"), "baseline")
    assert (near.value.hint, far.value.hint) == ("Did you mean pd?", "Choose from zero, pd.")


def test_the_first_line_of_an_error_has_no_period_and_is_never_empty():
    assert first_line(ValueError("It broke.\nBadly.")) == "It broke"
    assert first_line(KeyError("no such thing.")) == "no such thing"
    assert first_line(EOFError()) == "EOFError"


def test_an_error_that_nobody_expected_is_named_by_its_class():
    assert class_and_line(ValueError("too small.\nsecond line")) == "ValueError: too small"
    assert class_and_line(KeyError("name")) == "KeyError: name"
    assert class_and_line(StopIteration()) == "StopIteration"
