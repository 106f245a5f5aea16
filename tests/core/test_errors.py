from pathlib import Path

import pytest

from mocapact_cli.core.errors import (
    InvalidInputError,
    MissingDependencyError,
    MocapactError,
    NotFoundError,
    RunError,
    did_you_mean,
    naming,
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
