import pytest

from mocapact_cli.core.errors import RunError
from mocapact_cli.core.remote.files import ChangedError, RemoteFile, TransientError
from mocapact_cli.core.remote.retries import Retries, UnreachableError, capital, read_on


@pytest.fixture
def waits():
    return []


@pytest.fixture
def retries(waits):
    return Retries(tries=5, sleep=waits.append, random=lambda: 1.0, longest_s=6.0)


def test_waits_double_up_to_the_longest(retries, waits):
    attempts = retries.attempts()
    for _ in range(4):
        attempts.failed(TransientError("busy"))
    assert waits == [1.0, 2.0, 4.0, 6.0]


def test_chance_takes_up_to_half_of_a_wait(waits):
    Retries(sleep=waits.append, random=lambda: 0.0).attempts().failed(TransientError("busy"))
    assert waits == [0.5]


def test_a_server_that_asks_for_a_wait_gets_it(retries, waits):
    retries.attempts().failed(TransientError("busy", wait=17.0))
    assert waits == [17.0]


def test_one_that_asks_for_too_much_does_not(retries, waits):
    with pytest.raises(RunError, match="asks to wait 60 minutes"):
        retries.attempts().failed(TransientError("the server is busy", wait=3600.0))
    assert waits == []


def test_it_is_given_up_after_enough_failures_in_a_row(retries, waits):
    with pytest.raises(RunError, match="The line is dead; given up after 5 attempts"):
        retries.call(lambda: (_ for _ in ()).throw(TransientError("the line is dead")))
    assert len(waits) == 4


def test_a_host_that_cannot_be_reached_is_given_up_sooner_with_its_hint(retries, waits):
    def ask():
        raise UnreachableError("no such host", "Check the name.")

    with pytest.raises(RunError, match="given up after 4") as caught:
        retries.call(ask)
    assert caught.value.hint == "Check the name."


def test_bytes_that_came_make_the_next_failure_the_first(retries):
    attempts = retries.attempts()
    for _ in range(20):
        attempts.failed(TransientError("dropped"))
        attempts.moved()


class Flaky:
    """Sends at most `reach` bytes an attempt."""

    label = "flaky"

    def __init__(self, content, reach):
        self.content, self.reach, self.starts = content, reach, []

    def read(self, file, start=0, stop=None):
        self.starts.append(start)
        stop = len(self.content) if stop is None else stop
        end = min(stop, start + self.reach)
        yield from (self.content[i : i + 1] for i in range(start, end))
        if end < stop:
            raise TransientError("dropped")


def test_reading_goes_on_where_the_connection_dropped(retries):
    source = Flaky(b"0123456789" * 3, 7)
    assert b"".join(read_on(source, RemoteFile("a"), 2, 29, retries=retries)) == source.content[2:29]
    assert source.starts == [2, 9, 16, 23]


def test_other_failures_are_passed_on(retries):
    class Changed(Flaky):
        def read(self, file, start=0, stop=None):
            raise ChangedError
            yield

    with pytest.raises(ChangedError):
        list(read_on(Changed(b"", 0), RemoteFile("a"), retries=retries))


def test_a_reason_begins_a_sentence_but_an_address_stays_as_it_is():
    assert capital("the mirror does not answer") == "The mirror does not answer"
    assert capital("http://a.b/c does not answer") == "http://a.b/c does not answer"
