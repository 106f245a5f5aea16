import pytest

from mocapact_cli.core.errors import (
    InvalidInputError,
    MissingDependencyError,
    MocapactError,
    NotFoundError,
    RunError,
    did_you_mean,
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
