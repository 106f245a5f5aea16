import threading

import pytest

from mocapact_cli.core.remote.asking import ask_all


def test_answers_come_in_the_order_of_the_questions():
    assert list(ask_all(lambda number: number * number, range(100), 8)) == [number * number for number in range(100)]
    assert list(ask_all(str, [], 8)) == []


def test_several_are_asked_at_once():
    together = threading.Barrier(4, timeout=10)
    assert list(ask_all(lambda number: together.wait() >= 0 and number, range(4), 4)) == [0, 1, 2, 3]


def test_the_first_failure_is_raised_and_ends_the_asking():
    asked = []

    def ask(number):
        asked.append(number)
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        list(ask_all(ask, range(10_000), 1))
    assert asked == [0, 1, 2, 3]


def test_one_that_hangs_does_not_keep_the_others_nor_the_program():
    never = threading.Event()
    answers = ask_all(lambda number: number if number == 0 else never.wait(), range(3), 3)
    assert next(answers) == 0
    answers.close()
    assert all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
    never.set()
